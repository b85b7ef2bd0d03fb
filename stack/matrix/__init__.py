"""`make test-matrix`: the suite on the versions of other programs that users run.

`cells` says what there is to run, `environment` makes what a cell runs in, `running` runs it,
`results` keeps what it showed in docs/compatibility.json.
"""
