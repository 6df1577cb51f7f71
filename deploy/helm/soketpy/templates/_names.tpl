{{/* Names and labels. */}}

{{- define "soketpy.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "soketpy.fullname" -}}
{{- $name := include "soketpy.name" . -}}
{{- $both := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $both | trunc 55 | trimSuffix "-" -}}
{{- end -}}

{{- define "soketpy.selector" -}}
app.kubernetes.io/name: {{ include "soketpy.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "soketpy.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "soketpy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "soketpy.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "soketpy.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "soketpy.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "soketpy.secret" -}}
{{ .Values.secret.existing | default (include "soketpy.fullname" .) }}
{{- end -}}

{{/* The name of the cluster in Prometheus: it begins with soketpy. */}}
{{- define "soketpy.job" -}}
{{- $name := include "soketpy.fullname" . -}}
{{- hasPrefix "soketpy" $name | ternary $name (printf "soketpy-%s" $name) -}}
{{- end -}}
