{{- define "warmup.name" -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- end }}

{{- define "warmup.selector" -}}
app.kubernetes.io/name: warmup
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "warmup.labels" -}}
{{ include "warmup.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "warmup.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* Numbers come from YAML as floats: 1000000 would be written 1e+06. */ -}}
{{- define "warmup.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}

{{- /* What every pod of the fleet and its migration must agree on. */ -}}
{{- define "warmup.env" -}}
# Files and no values: a mounted Secret follows its changes, so a rotated password needs no restart.
- name: DATABASE_URL_FILE
  value: /etc/warmup-secrets/database-url
- name: REDIS_URL_FILE
  value: /etc/warmup-secrets/redis-url
# A release of several pods must never claim to be alone.
- name: WARMUP_DISTRIBUTED_MODE
  value: "true"
- name: WARMUP_WORKER_COUNT
  value: {{ include "warmup.text" .Values.workers | quote }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ include "warmup.text" $value | quote }}
{{- end }}
{{- end }}

{{- /* The Secret as files, for the pod's own user alone. */ -}}
{{- define "warmup.secretItems" -}}
- { key: {{ .Values.secretKeys.databaseUrl }}, path: database-url }
- { key: {{ .Values.secretKeys.redisUrl }}, path: redis-url }
{{- end }}

{{- define "warmup.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "warmup.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}
