{{- /* What each check says: a line for each thing that is wrong, with what was expected, what was found and what to do. */ -}}

{{- define "nimbus-agent.wrong" -}}
{{- printf "\n  - %s: expected %s, found %s; %s" (index . 0) (index . 1) (index . 2) (index . 3) -}}
{{- end -}}

{{- define "nimbus-agent.check.names" -}}
{{- $name := include "nimbus-agent.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- $expected := "a name for objects: small letters, digits and hyphens, beginning with a letter" -}}
{{- if .Values.fullnameOverride -}}
{{- include "nimbus-agent.wrong" (list "fullnameOverride" $expected (include "nimbus-agent.hidden" .Values.fullnameOverride)
  "set it to such a name, or leave it out and give the release such a name") -}}
{{- else if and .Values.nameOverride (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" .Values.nameOverride)) -}}
{{- include "nimbus-agent.wrong" (list "nameOverride" (printf "a part of %s" $expected)
  (include "nimbus-agent.hidden" .Values.nameOverride)
  "correct it, or set fullnameOverride, which is used as it is") -}}
{{- else -}}
{{- include "nimbus-agent.wrong" (list (printf "the release's name, %s" (quote .Release.Name)) $expected
  (printf "%s, which is made from it" (quote $name)) "choose another release name, or set fullnameOverride") -}}
{{- end -}}
{{- end -}}
{{- if and .Values.fullnameOverride (gt (len .Values.fullnameOverride) 52) -}}
{{- include "nimbus-agent.wrong" (list "fullnameOverride" "at most 52 characters"
  (toString (len .Values.fullnameOverride)) "choose a shorter one") -}}
{{- end -}}
{{- range $label := keys (include "nimbus-agent.selector" . | fromYaml) | sortAlpha -}}
{{- if hasKey $.Values.podLabels $label -}}
{{- include "nimbus-agent.wrong" (list "podLabels" (printf "other labels than %s" $label)
  (quote (index $.Values.podLabels $label)) "leave it out: the DaemonSet finds its pods by it") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-agent.check.server" -}}
{{- if not .Values.server -}}
{{- include "nimbus-agent.wrong" (list "server" "the control plane's agent listener, HOST:PORT" "none"
  "set it, for example to nimbus-control-plane-agents.NAMESPACE.svc:7071") -}}
{{- else if not (regexMatch "^([^][:/@ ]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$" .Values.server) -}}
{{- include "nimbus-agent.wrong" (list "server" "HOST:PORT, an IPv6 address in brackets"
  (include "nimbus-agent.withoutPassword" .Values.server)
  "leave out the scheme and any user, and name the port of the agents (UDP, else TCP)") -}}
{{- else -}}
{{- $port := include "nimbus-agent.serverPort" . | int -}}
{{- if or (lt $port 1) (gt $port 65535) -}}
{{- include "nimbus-agent.wrong" (list "server" "a port from 1 to 65535" (include "nimbus-agent.withoutPassword" .Values.server)
  "name the port of the agents (UDP, else TCP)") -}}
{{- else if not (include "nimbus-agent.isHostPort" .Values.server) -}}
{{- include "nimbus-agent.wrong" (list "server" "a DNS name or an IP address before the port, an IPv6 address in brackets"
  (include "nimbus-agent.withoutPassword" .Values.server) "correct what is before the port") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Never with the token itself: what is said here gets into logs. Its form is that of protocol/src/join.rs. */ -}}
{{- define "nimbus-agent.check.join" -}}
{{- with .Values.join -}}
{{- if and .existingSecret .token -}}
{{- include "nimbus-agent.wrong" (list "join" "existingSecret or token" "both"
  "leave join.token out, so that the token is in the Secret alone") -}}
{{- else if not (or .existingSecret .token) -}}
{{- include "nimbus-agent.wrong" (list "join.existingSecret" "the name of a Secret with the join token, or join.token" "neither"
  "make a token with: nimbus agents token create --name NAME --kind cluster, and a Secret of it") -}}
{{- end -}}
{{- if regexMatch "[ \\t\\r\\n]" (default "" .token) -}}
{{- include "nimbus-agent.wrong" (list "join.token" "a token" "one with blanks or line ends in it" "copy it without them") -}}
{{- else if and .token (not (regexMatch "^nimbus1[.]tok_[0-9a-f]{32}[.][-_0-9A-Za-z]{42}[AEIMQUYcgkosw048][.][0-9A-Fa-f]{64}$" .token)) -}}
{{- include "nimbus-agent.wrong" (list "join.token" "a join token, nimbus1.tok_….SECRET.FINGERPRINT" (include "nimbus-agent.hidden" .token)
  "copy all of what this prints: nimbus agents token create --name NAME --kind cluster") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-agent.check.serviceAccount" -}}
{{- with .Values.serviceAccount -}}
{{- if and .annotations (not .create) -}}
{{- include "nimbus-agent.wrong" (list "serviceAccount.annotations"
  "none, as serviceAccount.create is false and the account is somebody else's" "some"
  "annotate that account, or let the chart create one") -}}
{{- end -}}
{{- $every := "every pod of the namespace has the account default, and would get the agents' rights" -}}
{{- if eq (default "" .name) "default" -}}
{{- include "nimbus-agent.wrong" (list "serviceAccount.name" (printf "an account of the agents' own: %s" $every) "default"
  (ternary "leave it out, or name another one" "name another one, or set serviceAccount.create to true and leave it out" .create)) -}}
{{- else if not (or .create .name) -}}
{{- include "nimbus-agent.wrong" (list "serviceAccount.name"
  (printf "an account of the agents' own, as serviceAccount.create is false: %s" $every)
  "none" "name one, or set serviceAccount.create to true") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-agent.check.lease" -}}
{{- if and (eq .Release.Namespace "nimbus-system") (eq .Values.lease.namespace "kube-system") -}}
{{- include "nimbus-agent.wrong" (list "lease.namespace" "nimbus-system, where the agents look first and which exists, as the release is in it"
  "\"kube-system\"" "leave it out") -}}
{{- end -}}
{{- end -}}

{{- /* A pod over its limit is evicted, and the spool alone may take 64 MiB; journal and baselines come to that. */ -}}
{{- define "nimbus-agent.check.state" -}}
{{- $least := "128Mi" -}}
{{- $size := include "nimbus-agent.quantity" .Values.state.sizeLimit -}}
{{- if and $size (lt (float64 $size) (include "nimbus-agent.quantity" $least | float64)) -}}
{{- include "nimbus-agent.wrong" (list "state.sizeLimit" (printf "at least %s: the spool alone may take 64Mi, and a pod over the limit is evicted" $least)
  (quote .Values.state.sizeLimit) "raise it, or leave it out for the default") -}}
{{- end -}}
{{- end -}}

{{- /* The program would take its default in the place of one that it cannot read. It reads more than the control plane does. */ -}}
{{- define "nimbus-agent.check.log" -}}
{{- if not (include "nimbus-agent.isFilter" (dict "filter" .Values.log.filter "strict" false)) -}}
{{- include "nimbus-agent.wrong" (list "log.filter" "off, error, warn, info, debug, trace or 0 to 5 after each equals sign, as in info,hyper=warn"
  (quote .Values.log.filter) "correct it, or leave it out for info") -}}
{{- end -}}
{{- end -}}
