{{/* Facts that follow from the configuration of the server. The defaults are those of docs/configuration.md. */}}

{{- define "soketpy.port" -}}
{{ .Values.config.port | default 6001 | int }}
{{- end -}}

{{- define "soketpy.metricsPort" -}}
{{ dig "metrics" "port" 9601 .Values.config | int }}
{{- end -}}

{{- define "soketpy.adminPort" -}}
{{ dig "admin" "port" 6002 .Values.config | int }}
{{- end -}}

{{- define "soketpy.scheme" -}}
{{ dig "tls" "cert" "" .Values.config | empty | ternary "HTTP" "HTTPS" }}
{{- end -}}

{{/* Seconds that a pod may need to stop: see "Stopping" in docs/operations.md. */}}
{{- define "soketpy.gracePeriod" -}}
{{- $drain := dig "timeouts" "drain" 0 .Values.config -}}
{{- $shutdown := dig "timeouts" "shutdown" 3 .Values.config -}}
{{- addf .Values.preStopSeconds $drain (mulf 2 $shutdown) 25 | ceil | int -}}
{{- end -}}

{{/* The ports of Redis that the configuration names, as a list in JSON. */}}
{{- define "soketpy.redisPorts" -}}
{{- $redis := .Values.config.redis | default dict -}}
{{- $ports := list (int ($redis.port | default 6379)) -}}
{{- range concat ($redis.sentinels | default list) ($redis.cluster_nodes | default list) -}}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* "true" if each of these addresses is that of the pod itself: a text, or a list of texts. */}}
{{- define "soketpy.loopback" -}}
{{- $own := true -}}
{{- range kindIs "string" . | ternary (list .) . -}}
{{- $own = and $own (regexMatch "^(127\\.|localhost$|::1$)" .) -}}
{{- end -}}
{{- $own -}}
{{- end -}}

{{/* Fail for a path that no pod serves: one that begins neither with config.path_prefix nor with a path of the server. */}}
{{- define "soketpy.checkPath" -}}
{{- if and (not .prefix) (not (regexMatch "^/(apps?(/.*)?)?$" .path)) -}}
{{- fail (printf "%s: %s needs the same path in config.path_prefix." .name .path) -}}
{{- end -}}
{{- end -}}

{{/* Fail for values that contradict each other. */}}
{{- define "soketpy.check" -}}
{{- $registry := dig "registry" "driver" "config" .Values.config -}}
{{- $metrics := dig "metrics" "enabled" false .Values.config -}}
{{- $many := or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}
{{- if and $many (ne (.Values.config.cluster | default "local") "redis") -}}
{{- fail "Several pods need config.cluster: redis. For a server without Redis, set replicas: 1 and autoscaling.enabled: false." -}}
{{- end -}}
{{- if and $many .Values.persistence.enabled -}}
{{- fail "persistence.enabled needs replicas: 1 and autoscaling.enabled: false, because one server uses the files." -}}
{{- end -}}
{{- if and (not (or .Values.secret.existing .Values.secret.values .Values.env)) (eq $registry "config") -}}
{{- fail "Give the app a secret: set secret.existing to the name of a Secret with SOKETPY_APP_KEY and SOKETPY_APP_SECRET, or secret.values." -}}
{{- end -}}
{{- if and .Values.secret.existing .Values.secret.values -}}
{{- fail "secret.existing and secret.values exclude each other." -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: the Gateway that serves the route." -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not $metrics) -}}
{{- fail "serviceMonitor.enabled needs config.metrics.enabled: true." -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (eq .Values.autoscaling.by "connections") (not $metrics) -}}
{{- fail "autoscaling.by: connections needs config.metrics.enabled: true. Without metrics, set autoscaling.by: cpu." -}}
{{- end -}}
{{- if eq (include "soketpy.loopback" (.Values.config.host | default "0.0.0.0")) "true" -}}
{{- fail "config.host must be an address that Kubernetes can reach, such as 0.0.0.0: only the pod itself reaches this one." -}}
{{- end -}}
{{- if and $metrics (eq (include "soketpy.loopback" (dig "metrics" "host" "0.0.0.0" .Values.config)) "true") -}}
{{- fail "config.metrics.host must be an address that Prometheus can reach, such as 0.0.0.0: only the pod itself reaches this one." -}}
{{- end -}}
{{- range $name, $route := dict "ingress.path" .Values.ingress "httpRoute.path" .Values.httpRoute -}}
{{- if $route.enabled -}}
{{- include "soketpy.checkPath" (dict "name" $name "path" $route.path "prefix" $.Values.config.path_prefix) -}}
{{- end -}}
{{- end -}}
{{- end -}}
