{{- /* Where the state is. See _check.tpl. */ -}}

{{- define "nimbus-control-plane.check.database" -}}
{{- with .Values.database -}}
{{- if and .existingSecret .url -}}
{{- include "nimbus-control-plane.wrong" (list "database" "existingSecret or url" "both"
  "leave one of them out; an address with a password belongs in the Secret") -}}
{{- end -}}
{{- /* What is wrong with an address is said without the address: it may hold a password. */ -}}
{{- if .url -}}
{{- if not (regexMatch "^postgres(ql)?://" .url) -}}
{{- include "nimbus-control-plane.wrong" (list "database.url" "postgres://user@host:5432/database" "another scheme"
  "leave it out for SQLite on the volume") -}}
{{- end -}}
{{- if regexMatch "^[^/]*//[^/@]*:[^/]*@|[?&]password=" .url -}}
{{- include "nimbus-control-plane.wrong" (list "database.url" "an address without a password"
  "one with a password, which everybody reads who reads the release" "put the address into a Secret and name that in database.existingSecret") -}}
{{- end -}}
{{- end -}}
{{- if and .existingSecret (not .existingSecretKey) -}}
{{- include "nimbus-control-plane.wrong" (list "database.existingSecretKey" "the key of the Secret that holds the address"
  "none" "set it, or leave it out for the key url") -}}
{{- else if not (or .existingSecret (has (default "" .existingSecretKey) (list "" "url"))) -}}
{{- include "nimbus-control-plane.wrong" (list "database.existingSecretKey" "the default, as database.existingSecret names no Secret"
  (include "nimbus-control-plane.named" .existingSecretKey) "name the Secret, or leave the key out") -}}
{{- end -}}
{{- end -}}
{{- if not (include "nimbus-control-plane.postgres" .) -}}
{{- with .Values.networkPolicy.databaseTo -}}
{{- include "nimbus-control-plane.wrong" (list "networkPolicy.databaseTo"
  "none, as no PostgreSQL database is named, and SQLite needs no connection" (toJson .)
  "name the database in database.existingSecret, or leave it out") -}}
{{- end -}}
{{- if not (has (int .Values.networkPolicy.databasePort) (list 0 5432)) -}}
{{- include "nimbus-control-plane.wrong" (list "networkPolicy.databasePort"
  "the default, as no PostgreSQL database is named, and SQLite needs no connection" (toString (int .Values.networkPolicy.databasePort))
  "name the database in database.existingSecret, or leave it out") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-control-plane.check.persistence" -}}
{{- $postgres := include "nimbus-control-plane.postgres" . -}}
{{- $keeps := include "nimbus-control-plane.standBy" . -}}
{{- with .Values.persistence -}}
{{- if and $keeps .existingClaim -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.existingClaim"
  "none, as the keys are in keys.existingSecret and the rest in PostgreSQL" (include "nimbus-control-plane.named" .existingClaim) "leave it out") -}}
{{- else if and $keeps (not .enabled) -}}
{{- else if not .enabled -}}
{{- if $postgres -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.enabled"
  "true: a database belongs to the keys on the volume, and a second start with new keys is refused" "false"
  "set it to true, or give the keys in keys.existingSecret") -}}
{{- else if not .acceptLossOfKeys -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.enabled"
  "true: without a volume keys and history are lost with the pod, and every agent has to join again" "false"
  "set it to true, or, to try it out, persistence.acceptLossOfKeys to true as well") -}}
{{- end -}}
{{- if .existingClaim -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.existingClaim" "none, as persistence.enabled is false"
  (include "nimbus-control-plane.named" .existingClaim) "set persistence.enabled to true, or leave the claim out") -}}
{{- end -}}
{{- end -}}
{{- if and .storageClass (not .enabled) -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.storageClass" "none, as persistence.enabled is false" (quote .storageClass)
  "set persistence.enabled to true, or leave the class out") -}}
{{- else if and .existingClaim .storageClass -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.storageClass"
  (printf "none, as the claim %s has its class already" (include "nimbus-control-plane.named" .existingClaim)) (quote .storageClass)
  "leave one of them out") -}}
{{- end -}}
{{- $size := include "nimbus-control-plane.quantity" .size -}}
{{- if and $size (eq (float64 $size) 0.0) -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.size" "a size above zero: Kubernetes refuses the claim otherwise"
  (quote .size) "say how large the volume has to be, or leave it out for the default") -}}
{{- end -}}
{{- if and .enabled (has "ReadOnlyMany" .accessModes) -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.accessModes" "a mode in which it can be written" "ReadOnlyMany"
  "use ReadWriteOnce, or ReadWriteOncePod where the driver knows it") -}}
{{- end -}}
{{- end -}}
{{- $change := default "" .Values.podSecurityContext.fsGroupChangePolicy -}}
{{- if and .Values.persistence.enabled .Values.podSecurityContext.fsGroup (ne $change "OnRootMismatch") -}}
{{- include "nimbus-control-plane.wrong" (list "podSecurityContext.fsGroupChangePolicy"
  "OnRootMismatch: otherwise each start opens the keys to the group, and the control plane refuses keys that others may read"
  (default "none, which means Always" $change) "set it to OnRootMismatch") -}}
{{- end -}}
{{- end -}}
