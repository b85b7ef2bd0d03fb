{{- define "flowgauge.fullname" -}}
{{- $named := contains "flowgauge" .Release.Name | ternary .Release.Name (printf "%s-flowgauge" .Release.Name) -}}
{{- .Values.fullnameOverride | default $named | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* Of every object. */}}
{{- define "flowgauge.labels" -}}
app.kubernetes.io/part-of: flowgauge
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Of what is one program's: (list $ "exporter"). */}}
{{- define "flowgauge.selector" -}}
app.kubernetes.io/name: flowgauge-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* Name and labels of what is one program's: (list $ "exporter"). */}}
{{- define "flowgauge.metadata" -}}
name: {{ include "flowgauge.fullname" (index . 0) }}-{{ index . 1 }}
labels:
  app.kubernetes.io/name: flowgauge-{{ index . 1 }}
  {{- include "flowgauge.labels" (index . 0) | nindent 2 }}
{{- end }}

{{- define "flowgauge.port" -}}
{{- eq . "exporter" | ternary 9877 9878 -}}
{{- end }}

{{/* The rules and dashboards know the scrape jobs by these names. */}}
{{- define "flowgauge.job" -}}
{{- eq . "exporter" | ternary "flowgauge" "flowgauge-relay" -}}
{{- end }}

{{- define "flowgauge.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* How the kubelet asks: (list $ "/healthz"). */}}
{{- define "flowgauge.probe" -}}
{{- if (index . 0).Values.web.configSecret -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
{{- end }}
{{- end }}

{{- define "flowgauge.config" -}}
MLFLOW_TRACKING_URI: {{ required "mlflow.uri must be given: where exporter and relay reach MLflow" .Values.mlflow.uri | quote }}
{{- with .Values.store.url }}
FLOWGAUGE_STORE: {{ . | quote }}
{{- end }}
{{- with .Values.rateLimits }}
FLOWGAUGE_RATE_LIMITS: {{ toJson . | quote }}
{{- end }}
{{- with .Values.log.level }}
FLOWGAUGE_LOG_LEVEL: {{ . | quote }}
{{- end }}
{{- with .Values.log.format }}
FLOWGAUGE_LOG_FORMAT: {{ . | quote }}
{{- end }}
{{- if .Values.web.configSecret }}
FLOWGAUGE_WEB_CONFIG_FILE: /etc/flowgauge/web/web-config.yml
{{- end }}
{{- end }}

{{/* The text of a file of rules or a dashboard, with its links: (list $ path). */}}
{{- define "flowgauge.linked" -}}
{{- $urls := (index . 0).Values.urls -}}
{{- $text := (index . 0).Files.Get (index . 1) -}}
{{- with $urls.dashboards }}{{ $text = replace "https://grafana.example.com/" (printf "%s/" (trimSuffix "/" .)) $text }}{{ end -}}
{{- with $urls.runbooks }}{{ $text = replace "https://github.com/flowgauge/flowgauge/blob/main/runbooks" (trimSuffix "/" .) $text }}{{ end -}}
{{- $text -}}
{{- end }}

{{/* A file of rules with what `alerts` and `objective` change: (list $ path). */}}
{{- define "flowgauge.rules" -}}
{{- $overrides := (index . 0).Values.alerts -}}
{{- $text := include "flowgauge.linked" . -}}
{{- with (index . 0).Values.environment -}}
  {{- $text = replace "ENVIRONMENT" . $text -}}
{{- else -}}
  {{- $text = regexReplaceAll "environment=\"ENVIRONMENT\",? ?| *environment: ENVIRONMENT\n" $text "" | replace "{}" "" -}}
{{- end -}}
{{- $text = replace "99.5" (printf "%v" (index . 0).Values.objective) $text -}}
{{- $file := fromYaml $text -}}
{{- range $group := $file.groups }}
  {{- $rules := list }}
  {{- range $rule := $group.rules }}
    {{- $override := get $overrides ($rule.alert | default "") | default dict }}
    {{- if hasKey $override "threshold" }}
      {{- $number := "(>=|<=|>|<) *[0-9.]+ *$" }}
      {{- if not (regexMatch $number (trim $rule.expr)) }}
        {{- fail (printf "alerts.%s.threshold: the alert compares nothing with a number, leave the threshold out" $rule.alert) }}
      {{- end }}
      {{- $was := regexFind "[0-9.]+ *$" (trim $rule.expr) | trim }}
      {{- $share := and (gt (float64 $was) 0.0) (lt (float64 $was) 1.0) }}
      {{- $above := regexMatch ">=? *[0-9.]+ *$" (trim $rule.expr) }}
      {{- $new := float64 $override.threshold }}
      {{- if or (lt $new 0.0) (and (not $above) (eq $new 0.0)) (and $share (gt $new 1.0)) (and $share $above (eq $new 1.0)) }}
        {{- fail (printf "alerts.%s.threshold: with %v the alert would fire always or never%s" $rule.alert $override.threshold (ternary ", as it compares a share: 5 % is 0.05" "" $share)) }}
      {{- end }}
      {{- $said := printf "%s (Here the limit is %v, not %s.)" $rule.annotations.description $override.threshold $was }}
      {{- $_ := set $rule.annotations "description" $said }}
      {{- $_ := set $rule "expr" (regexReplaceAll $number (trim $rule.expr) (printf "${1} %v" $override.threshold)) }}
    {{- end }}
    {{- with $override.for }}{{ $_ := set $rule "for" . }}{{ end }}
    {{- with $override.labels }}{{ $_ := set $rule "labels" (merge dict . $rule.labels) }}{{ end }}
    {{- with $override.severity }}{{ $_ := set $rule.labels "severity" . }}{{ end }}
    {{- if ne false $override.enabled }}{{ $rules = append $rules $rule }}{{ end }}
  {{- end }}
  {{- $_ := set $group "rules" $rules }}
{{- end }}
{{- toYaml $file }}
{{- end }}

{{/* A ServiceMonitor or PodMonitor: a dict of root, name, labels, job, selector and endpoint; perhaps namespace. */}}
{{- define "flowgauge.monitor" -}}
{{- $monitors := .root.Values.monitors -}}
apiVersion: monitoring.coreos.com/v1
kind: {{ $monitors.kind }}
metadata:
  name: {{ include "flowgauge.fullname" .root }}-{{ .name }}
  labels:
    {{- include "flowgauge.labels" .root | nindent 4 }}
    {{- with $monitors.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with .namespace }}
  namespaceSelector:
    matchNames: [{{ . }}]
  {{- end }}
  selector:
    matchLabels:
      {{- toYaml .selector | nindent 6 }}
  {{ eq $monitors.kind "PodMonitor" | ternary "podMetricsEndpoints" "endpoints" }}:
    - port: {{ .endpoint.port }}
      path: {{ .endpoint.path }}
      interval: {{ $monitors.interval }}
      {{- if ne .endpoint.scheme "http" }}
      scheme: {{ .endpoint.scheme }}
      {{- end }}
      {{- with .endpoint.tlsConfig }}
      tlsConfig:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .endpoint.basicAuthSecret }}
      basicAuth:
        username: {name: {{ . }}, key: username}
        password: {name: {{ . }}, key: password}
      {{- end }}
      {{- with .endpoint.tokenSecret }}
      authorization:
        credentials: {name: {{ . }}, key: token}
      {{- end }}
      relabelings:
        # The rules and dashboards know the jobs by these names, not by their Services'.
        - targetLabel: job
          replacement: {{ .job }}
        {{- with .root.Values.environment }}
        - targetLabel: environment
          replacement: {{ . }}
        {{- end }}
        # What is said of MLflow explains what an exporter of another namespace says.
        - targetLabel: namespace
          replacement: {{ .root.Values.mlflow.monitor.namespace | default .root.Release.Namespace }}
{{- end }}
