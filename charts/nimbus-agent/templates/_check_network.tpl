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
{{- range index $.Values.networkPolicy $field -}}
{{- if kindIs "map" .ipBlock -}}
{{- range prepend (default list .ipBlock.except) (default "" .ipBlock.cidr) -}}
{{- if not (include "nimbus-agent.isNetwork" (toString .)) -}}
{{- include "nimbus-agent.wrong" (list (printf "networkPolicy.%s" $field)
  "networks as CIDRs in each ipBlock, such as 10.0.0.0/8 or 2001:db8::/32" (toString . | quote)
  "write the address of the network, a slash and its bits") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
