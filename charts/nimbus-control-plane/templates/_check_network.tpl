{{- /* How it is reached, and by whom. See _check.tpl. */ -}}

{{- define "nimbus-control-plane.check.tls" -}}
{{- with .Values.tls -}}
{{- if and .existingSecret .certManager.enabled -}}
{{- include "nimbus-control-plane.wrong" (list "tls" "existingSecret or certManager.enabled" "both"
  "leave one of them out, or both for a certificate of the control plane's own CA") -}}
{{- end -}}
{{- if .certManager.enabled -}}
{{- if not .certManager.issuerRef.name -}}
{{- include "nimbus-control-plane.wrong" (list "tls.certManager.issuerRef.name" "the name of an Issuer or ClusterIssuer"
  "none" "set it, and issuerRef.kind for a ClusterIssuer") -}}
{{- end -}}
{{- if not (or .certManager.serviceNames $.Values.names) -}}
{{- include "nimbus-control-plane.wrong" (list "names" "at least one, as tls.certManager.serviceNames is false" "none"
  "name the control plane as operators call it, or set tls.certManager.serviceNames to true") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-control-plane.check.service" -}}
{{- $name := .name -}}
{{- with .service -}}
{{- $type := .type -}}
{{- if ne $type "LoadBalancer" -}}
{{- range $field := list "loadBalancerIP" "loadBalancerClass" "loadBalancerSourceRanges" -}}
{{- with index $.service $field -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.%s" $name $field)
  (printf "none, as %s.type is %s" $name $type) (toString . | quote)
  (printf "set %s.type to LoadBalancer, or leave it out" $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq $type "ClusterIP" -}}
{{- range $field := list "nodePort" "externalTrafficPolicy" -}}
{{- with index $.service $field -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.%s" $name $field)
  (printf "none, as %s.type is ClusterIP" $name) (toString . | quote)
  (printf "set %s.type to NodePort or LoadBalancer, or leave it out" $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-control-plane.check.metrics" -}}
{{- with .Values.metrics.serviceMonitor -}}
{{- if .enabled -}}
{{- if not .tokenSecret -}}
{{- include "nimbus-control-plane.wrong" (list "metrics.serviceMonitor.tokenSecret"
  "the name of a Secret with a token of at least 32 characters, without one /metrics is refused" "none"
  "make that Secret (README.md, \"Metrics\") and name it here") -}}
{{- end -}}
{{- $own := not (or $.Values.tls.existingSecret $.Values.tls.certManager.enabled) -}}
{{- if and .caSecret .insecureSkipVerify -}}
{{- include "nimbus-control-plane.wrong" (list "metrics.serviceMonitor" "caSecret or insecureSkipVerify" "both"
  "leave insecureSkipVerify out") -}}
{{- else if and $own (not .caSecret) (not .insecureSkipVerify) -}}
{{- include "nimbus-control-plane.wrong" (list "metrics.serviceMonitor.caSecret"
  "the name of a Secret with the control plane's own ca.pem, which Prometheus does not know otherwise" "none"
  "make that Secret (README.md, \"Metrics\") and name it here") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
