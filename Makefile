# Every target sets up what it needs: `make run` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Tests side by side: they mostly wait for servers.
JOBS   ?= 3
# Programs to take from Debian sid instead of from this machine: make incidents NEWER=prometheus
NEWER  ?=
# Where `make test-charts` puts the charts of others, or finds them unpacked: official, community, airflow.
CHARTS ?= .run/charts

empty :=
export PATH := $(subst $(empty) ,,$(NEWER:%=$(CURDIR)/.run/programs/%/bin:))$(PATH)

# Hundreds of processes of ours start: none is to compile again what another has compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

.PHONY: setup
setup: $(VENV)/.ready ## install Python and Debian packages
	@scripts/debian-packages prometheus promtool amtool prometheus-alertmanager redis-server postgres pgbouncer
	@scripts/newer-programs $(NEWER)

$(VENV)/.ready: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) scripts/python-packages $(VENV)
	@touch $@

.PHONY: run
run: setup ## run the whole system on loopback until Ctrl-C; ARGS='--mlflow-port 5001 ...'
	@$(BIN)/python -m stack.demo $(ARGS)

.PHONY: outage
outage: $(VENV)/.ready ## take MLflow away from the running demo for 30 seconds
	@$(BIN)/python -m stack.outage

.PHONY: test
test: setup ## run every test, on real parts
	@scripts/kubernetes-tools $(BIN)
	@scripts/newer-programs prometheus || true  # the rules' tests go on with what is there
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --no-loadscope-reorder

# What needs no server: the rest of these files, on Redis and PostgreSQL, is `make test`'s.
FAST := tests/test_*.py tests/airflow/test_imports.py tests/airflow/test_payload.py \
    tests/cli/test_command.py tests/dashboards/test_layout.py tests/dashboards/test_linter.py \
    tests/exporter/test_scrape.py tests/matrix tests/render/test_folder.py \
    tests/rules/test_promql.py tests/server/test_server_containment.py \
    tests/server/test_server_reserved.py tests/server/test_server_routes.py \
    tests/server/test_server_worker_files.py \
    tests/store/test_counts.py tests/store/test_opening.py tests/store/test_outbox.py \
    tests/store/test_sqlite_recovery.py tests/store/test_window.py tests/tracking/test_proxies.py \
    tests/tracking/test_settings.py tests/tracking/test_uri.py

.PHONY: test-fast
test-fast: $(VENV)/.ready ## run what needs no server: half a minute, for while you write
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --no-loadscope-reorder --quiet \
	    -k 'not redis and not postgresql' $(FAST)

# The fast tests have seen little of what only a server shows: TESTS=tests takes all, and an hour.
.PHONY: coverage
coverage: $(VENV)/.ready ## say which lines the fast tests run; TESTS=tests/store for others; pages in build/coverage
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --no-loadscope-reorder --quiet --cov \
	    --cov-report=term:skip-covered --cov-report=html:build/coverage \
	    $(or $(TESTS),-k 'not redis and not postgresql' $(FAST))

.PHONY: faults
faults: setup ## kill log calls at every line and system call: nothing may be lost or doubled; ARGS='--store redis --step 7'
	@$(BIN)/python -m stack.faults $(ARGS)

.PHONY: differential
differential: setup ## compare MLflow with the server app and without, request by request; ARGS='basic-auth'
	@$(BIN)/python -m stack.differential $(ARGS)

.PHONY: differential-oidc
differential-oidc: setup .run/oidc/.ready ## do the same around mlflow-oidc-auth, on Python 3.12
	@.run/oidc/bin/python -m stack.differential oidc-auth

.PHONY: soak
soak: setup ## load all parts for hours: what they take may not grow; SECONDS=600 ARGS='--scrape-seconds 12'
	@$(BIN)/python -m stack.soak $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

.PHONY: secrets
secrets: setup ## plant secrets wherever they may be, and print a table of where, and what showed one
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --no-loadscope-reorder --quiet \
	    tests/hostile/test_planted_secrets.py tests/hostile/test_planted_server.py \
	    tests/airflow_versions/test_planted.py

.PHONY: fuzz
fuzz: $(VENV)/.ready ## feed all that reads what others wrote with wrong input; ARGS='--minutes 10 rules'
	@$(BIN)/python -m stack.fuzz $(ARGS)

.PHONY: fuzz-guided
fuzz-guided: $(VENV)/.ready ## do the same by what inputs reach in the code, half a minute each; ARGS='rules address'
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --quiet atheris==3.0.0
	@for target in $(or $(ARGS),$(sort $(notdir $(basename $(basename $(wildcard stack/fuzz/corpus/*)))))); do \
	    $(BIN)/python -m stack.guided_fuzz $$target 30 || exit; done

.PHONY: test-long
test-long: setup ## run the tests that `make test` leaves out, as they take minutes
	@scripts/newer-programs prometheus || true
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --no-loadscope-reorder --long -m long

.PHONY: test-airflow2
test-airflow2: setup .run/airflow2/.ready ## test the DAG side on Airflow 2.11 too
	@AIRFLOW_PYTHON=$(CURDIR)/.run/airflow2/bin/python $(BIN)/python -m pytest tests/airflow_versions

.run/airflow2/.ready: pyproject.toml constraints-airflow2.txt
	@PYTHON=$(PYTHON) scripts/airflow2-packages .run/airflow2
	@touch $@

.PHONY: test-oidc
test-oidc: setup .run/oidc/.ready ## test the server app around mlflow-oidc-auth, on Python 3.12
	@.run/oidc/bin/python -m pytest tests/server/oidc.py

.run/oidc/.ready: pyproject.toml scripts/oidc-packages
	@PYTHON=$(or $(PYTHON_OIDC),python3.12) scripts/oidc-packages .run/oidc
	@touch $@

.PHONY: test-charts
test-charts: $(VENV)/.ready ## render our values with the charts of MLflow, community-charts and Airflow; CHARTS=folder
	@scripts/kubernetes-tools $(BIN)
	@scripts/charts $(CHARTS)
	@CHARTS=$(CHARTS) $(BIN)/python -m pytest --numprocesses $(JOBS) tests/deploy/charts.py

.PHONY: test-victoria-metrics
test-victoria-metrics: $(VENV)/.ready ## have VictoriaMetrics scrape, and vmalert evaluate, as docs/recipes.md says
	@scripts/newer-programs victoria-metrics
	@PATH=$(CURDIR)/.run/programs/victoria-metrics/bin:$$PATH $(BIN)/python -m pytest tests/deploy/victoria_metrics.py

.PHONY: test-matrix
test-matrix: setup ## test on the versions that users run (hours); ONLY=mlflow-3.9,airflow for some
	@nice $(BIN)/python -m stack.matrix $(ONLY)

.PHONY: beside-airflow
beside-airflow: $(VENV)/.ready ## show that no package of Airflow's changes with flowgauge beside it
	@nice $(BIN)/python scripts/beside_airflow.py

.PHONY: lint
lint: $(VENV)/.ready ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: check-rules
check-rules: setup ## check the alert rules, their tests and their runbooks
	@$(BIN)/flowgauge check-rules

.PHONY: mutate-rules
mutate-rules: setup ## change every alert rule in small ways: some test must notice each; ARGS='--only NAME'
	@$(BIN)/flowgauge mutate-rules $(ARGS)

.PHONY: incidents
incidents: setup ## cause real faults and watch which alerts arrive; ARGS='server_killed ...' NEWER=prometheus
	@$(BIN)/python -m stack.incidents $(ARGS)

.PHONY: generate
generate: $(VENV)/.ready dashboards ## write all that is generated and committed; tests hold it to its source
	@$(BIN)/flowgauge environment schema > environments/schema.json
	@for table in alerts metrics compatibility settings licences; do $(BIN)/python scripts/$${table}_table.py || exit; done
	@for folder in helm_chart mixin; do $(BIN)/python scripts/$$folder.py || exit; done
	@$(BIN)/python -m stack.incidents.page

.PHONY: dashboards
dashboards: $(VENV)/.ready ## generate the dashboards' JSON from the grafanalib definitions
	@$(BIN)/python -m dashboards

.PHONY: preview
preview: $(VENV)/.ready ## show the dashboards, without Grafana, beside `make run`
	@scripts/debian-packages node npm
	@$(BIN)/python -m stack.preview $(ARGS)

.PHONY: screenshots
screenshots: setup ## draw every dashboard into docs/images, from a made-up day with an outage
	@scripts/debian-packages node npm chromium
	@$(BIN)/python -m stack.screenshots

.PHONY: preview-test
preview-test: setup ## check the dashboards against Grafana's schema, and in a browser
	@scripts/debian-packages node npm chromium
	@$(BIN)/python -m pytest dashboards/preview

.PHONY: import-dashboards
import-dashboards: $(VENV)/.ready ## put the dashboards into Grafana; ARGS='--grafana-url URL --token-file FILE'
	@$(BIN)/flowgauge dashboards import $(ARGS)

.PHONY: render
render: $(VENV)/.ready ## write build/ENV, all that environments/ENV.yaml is deployed with; ENV=dev
	@$(BIN)/flowgauge render --env $(or $(ENV),dev)

.PHONY: bench
bench: setup ## measure what flowgauge costs, beside its peers (an hour)
	@for benchmark in log_call walk budget backlog emptying rate_limit_acquire rate_limit_fleet rate_limit_crowd scrape mlflow_load \
	    store_scale store_load \
	    redis_held fail_over inventory jobs server_app server_capacity attribution airflow_start; do \
	    $(BIN)/python -m benchmarks.$$benchmark || exit; done

.PHONY: plain-site
plain-site: setup ## show what a site of plain MLflow DAGs sees, panel by panel (AIRFLOW_PYTHON= for another Airflow)
	@$(BIN)/python -m tests.airflow_versions.plain_site

.PHONY: check-dashboards
check-dashboards: $(VENV)/.ready ## check that the dashboards' JSON is what the definitions generate
	@$(BIN)/python -m dashboards --check

.PHONY: docs
docs: .run/docs/.ready ## build the documentation as a site in build/html, and check its links
	@NO_MKDOCS_2_WARNING=1 .run/docs/bin/python scripts/site.py

.run/docs/.ready: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) scripts/docs-packages .run/docs
	@touch $@

.PHONY: release-check
release-check: $(VENV)/.ready .run/release/.ready ## build into dist/ what a release publishes, and check it; TAG=v0.2.0
	@scripts/kubernetes-tools $(BIN)
	@$(BIN)/python scripts/release_check.py $${TAG:+"$$TAG"}

.run/release/.ready: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) scripts/release-packages .run/release
	@touch $@

.PHONY: clean
clean: ## remove what the targets made
	rm -rf $(VENV) .run build dist
