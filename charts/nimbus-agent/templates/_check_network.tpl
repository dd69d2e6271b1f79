{{- /* Whom they may reach, and who may reach them. See _check.tpl. */ -}}

{{- /* Whoever says who may connect believes that nobody else may. */ -}}
{{- define "nimbus-agent.check.networkPolicy" -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- range $field := list "serverTo" "serverPorts" "apiServerTo" "kubeletTo" "metricsFrom" "extraIngress" "extraEgress" -}}
{{- with index $.Values.networkPolicy $field -}}
{{- include "nimbus-agent.wrong" (list (printf "networkPolicy.%s" $field)
  "none, as networkPolicy.enabled is not true, and there is no policy" (toJson .)
  "set networkPolicy.enabled to true, or leave it out") -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- range $field := list "serverTo" "apiServerTo" "kubeletTo" "metricsFrom" -}}
{{- include "nimbus-agent.check.peers" (dict "name" (printf "networkPolicy.%s" $field) "peers" (index $.Values.networkPolicy $field)) -}}
{{- end -}}
{{- range $field, $side := dict "extraIngress" "from" "extraEgress" "to" -}}
{{- include "nimbus-agent.check.rules" (dict "name" (printf "networkPolicy.%s" $field) "rules" (index $.Values.networkPolicy $field) "side" $side) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-agent.check.metrics" -}}
{{- with .Values.metrics.podMonitor -}}
{{- if .enabled -}}
{{- include "nimbus-agent.check.scrape" (dict "name" "metrics.podMonitor" "monitor" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
