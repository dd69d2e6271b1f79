{{- /* How it is reached, and by whom. See _check.tpl. */ -}}

{{- define "nimbus-control-plane.check.tls" -}}
{{- with .Values.tls -}}
{{- if and .existingSecret .certManager.enabled -}}
{{- include "nimbus-control-plane.wrong" (list "tls" "existingSecret or certManager.enabled" "both"
  "leave one of them out, or both for a certificate of the control plane's own CA") -}}
{{- end -}}
{{- if and .certManager.issuerRef.name (not .certManager.enabled) -}}
{{- include "nimbus-control-plane.wrong" (list "tls.certManager.issuerRef.name" "none, as tls.certManager.enabled is not true"
  (include "nimbus-control-plane.named" .certManager.issuerRef.name) "set tls.certManager.enabled to true, or leave it out") -}}
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
{{- with .certManager -}}
{{- if and .duration .renewBefore -}}
{{- if ge (include "nimbus-control-plane.seconds" .renewBefore | int64) (include "nimbus-control-plane.seconds" .duration | int64) -}}
{{- include "nimbus-control-plane.wrong" (list "tls.certManager.renewBefore"
  (printf "less than tls.certManager.duration, %s: cert-manager refuses the Certificate otherwise" (quote .duration))
  (quote .renewBefore) "shorten it, or let certificates hold longer") -}}
{{- end -}}
{{- end -}}
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
{{- else if and .loadBalancerIP (not (include "nimbus-control-plane.isAddress" .loadBalancerIP)) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.loadBalancerIP" $name) "an IPv4 or IPv6 address, without a port or brackets"
  (quote .loadBalancerIP) "name an address that the load balancer can have, or leave it out") -}}
{{- end -}}
{{- if eq $type "LoadBalancer" -}}
{{- range .loadBalancerSourceRanges -}}
{{- include "nimbus-control-plane.check.network" (dict "name" (printf "%s.loadBalancerSourceRanges" $name) "network" .) -}}
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

{{- /* For both protocols: Kubernetes gives a node's port to one Service, whichever protocol another one would have there. */ -}}
{{- define "nimbus-control-plane.check.nodePorts" -}}
{{- $operators := .Values.services.operators -}}
{{- $agents := .Values.services.agents -}}
{{- $same := eq (int $operators.nodePort) (int $agents.nodePort) -}}
{{- if and $same (int $agents.nodePort) (ne $operators.type "ClusterIP") (ne $agents.type "ClusterIP") -}}
{{- include "nimbus-control-plane.wrong" (list "services.agents.nodePort"
  "another port than that of services.operators.nodePort: a node's port is for one Service, also with UDP beside TCP"
  (printf "%d in both" (int $agents.nodePort)) "change one of them, or leave it out, so that the cluster chooses") -}}
{{- end -}}
{{- end -}}

{{- /* Not by a pattern of the schema, which would print a password with it. */ -}}
{{- define "nimbus-control-plane.check.advertise" -}}
{{- with .Values.services.advertise -}}
{{- if not (include "nimbus-control-plane.isHostPort" .) -}}
{{- include "nimbus-control-plane.wrong" (list "services.advertise"
  "HOST:PORT, as agents reach the control plane, with a port from 1 to 65535 and an IPv6 address in brackets"
  (include "nimbus-control-plane.withoutPassword" .)
  "name host and port without a scheme and a user, or leave it out for the Service in this cluster") -}}
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
{{- include "nimbus-control-plane.check.scrape" (dict "name" "metrics.serviceMonitor" "monitor" .) -}}
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

{{- /* Whoever says who may connect believes that nobody else may. */ -}}
{{- define "nimbus-control-plane.check.networkPolicy" -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- range $field := list "operatorsFrom" "agentsFrom" "databaseTo" "extraIngress" "extraEgress" -}}
{{- with index $.Values.networkPolicy $field -}}
{{- include "nimbus-control-plane.wrong" (list (printf "networkPolicy.%s" $field)
  "none, as networkPolicy.enabled is not true, and there is no policy" (toJson .)
  "set networkPolicy.enabled to true, or leave it out") -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- range $field := list "operatorsFrom" "agentsFrom" "databaseTo" -}}
{{- include "nimbus-control-plane.check.peers" (dict "name" (printf "networkPolicy.%s" $field) "peers" (index $.Values.networkPolicy $field)) -}}
{{- end -}}
{{- range $field, $side := dict "extraIngress" "from" "extraEgress" "to" -}}
{{- include "nimbus-control-plane.check.rules" (dict "name" (printf "networkPolicy.%s" $field) "rules" (index $.Values.networkPolicy $field) "side" $side) -}}
{{- end -}}
{{- end -}}
{{- end -}}
