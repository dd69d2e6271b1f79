{{- /* What the agents may do, and what their policy says of it. See _check.tpl. */ -}}

{{- define "nimbus-agent.check.acting" -}}
{{- $acting := .Values.acting -}}
{{- $own := .Values.policy.existingConfigMap -}}
{{- $inNamespaces := include "nimbus-agent.acting" (dict "root" . "on" "namespace") | trim -}}
{{- $onCluster := include "nimbus-agent.acting" (dict "root" . "on" "cluster") | trim -}}
{{- /* What is no UID may be a secret. */ -}}
{{- $uid := default "" $acting.clusterUid -}}
{{- $isUid := regexMatch "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" $uid -}}
{{- $found := ternary (quote $uid) (include "nimbus-agent.hidden" $uid) $isUid -}}
{{- if and $inNamespaces (not $acting.namespaces) -}}
{{- include "nimbus-agent.wrong" (list "acting.namespaces"
  (printf "the namespaces in which %s may be done" (join ", " $acting.actions)) "none" "name them, or leave these actions out") -}}
{{- else if and $acting.namespaces (not $inNamespaces) -}}
{{- include "nimbus-agent.wrong" (list "acting.namespaces" "none, as acting.actions has none that is done in a namespace"
  (join ", " $acting.namespaces | quote) "name restart_pod, rollback_deployment, raise_memory_limit, expand_volume, raise_autoscaler_maximum, scale_workload or renew_certificate in acting.actions, or leave the namespaces out") -}}
{{- end -}}
{{- if and (or $inNamespaces $onCluster) (not $own) (not $uid) -}}
{{- include "nimbus-agent.wrong" (list "acting.clusterUid" "the UID of the cluster that the actions are for" "none"
  "set it to what this prints: kubectl get namespace kube-system -o jsonpath={.metadata.uid}") -}}
{{- else if and $uid (not (or $inNamespaces $onCluster)) -}}
{{- include "nimbus-agent.wrong" (list "acting.clusterUid" "none, as acting.actions has none on the cluster"
  $found "name actions, or leave it out") -}}
{{- else if and $uid $own -}}
{{- include "nimbus-agent.wrong" (list "acting.clusterUid" (printf "none, as the policy is in the ConfigMap %s" (include "nimbus-agent.named" $own))
  $found "write it into the clusters of that policy") -}}
{{- end -}}
{{- /* A policy for a cluster that there is none of would allow nothing, and nobody would know why. */ -}}
{{- if and $uid (not $isUid) -}}
{{- include "nimbus-agent.wrong" (list "acting.clusterUid" "a UUID in small letters, as Kubernetes writes it" $found
  "set it to what this prints: kubectl get namespace kube-system -o jsonpath={.metadata.uid}") -}}
{{- end -}}
{{- range $acting.actions -}}
{{- if eq . "restore_file" -}}
{{- include "nimbus-agent.wrong" (list "acting.actions" "no restore_file: files of the nodes are mounted read-only" "restore_file"
  "leave it out; to put files back, install the agent on the host (docs/install.md)") -}}
{{- else if eq . "restart_unit" -}}
{{- include "nimbus-agent.wrong" (list "acting.actions" "no restart_unit: a pod starts no units of its node" "restart_unit"
  "leave it out; to start them again, install the agent on the host (docs/install.md)") -}}
{{- else if and (hasSuffix "_baseline" .) (not $.Values.hostAccess.files) -}}
{{- include "nimbus-agent.wrong" (list "acting.actions" (printf "no %s, as hostAccess.files names no file" .) .
  "name files in hostAccess.files and policy.paths, or leave it out") -}}
{{- else if and (hasSuffix "_baseline" .) (not $own) (not $.Values.policy.paths) -}}
{{- include "nimbus-agent.wrong" (list "policy.paths" (printf "the files on which %s may be done" .) "none"
  "name them, or leave that action out") -}}
{{- end -}}
{{- end -}}
{{- range $acting.actions -}}
{{- if and (not $own) (has . (default list $.Values.policy.deny)) -}}
{{- include "nimbus-agent.wrong" (list "acting.actions" "none that policy.deny has" (quote .)
  "leave it out in one of the two: what is denied needs no rights") -}}
{{- end -}}
{{- end -}}
{{- range default list $.Values.policy.auto -}}
{{- if and (not $own) (not (has . (default list $acting.actions))) -}}
{{- include "nimbus-agent.wrong" (list "policy.auto" "actions that acting.actions has" (quote .)
  "name it there too, or leave it out") -}}
{{- end -}}
{{- end -}}
{{- range $acting.namespaces -}}
{{- if and (not $own) (has . $.Values.policy.denyNamespaces) -}}
{{- include "nimbus-agent.wrong" (list "acting.namespaces" "none that policy.denyNamespaces has" (quote .)
  "leave it out in one of the two: what is denied needs no rights") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-agent.check.policy" -}}
{{- $policy := .Values.policy -}}
{{- if not (or $policy.existingConfigMap (eq $policy.existingConfigMapKey "policy.toml")) -}}
{{- include "nimbus-agent.wrong" (list "policy.existingConfigMapKey" "the default, as policy.existingConfigMap names no ConfigMap"
  (include "nimbus-agent.named" $policy.existingConfigMapKey) "name the ConfigMap, or leave the key out") -}}
{{- end -}}
{{- if $policy.existingConfigMap -}}
{{- if eq $policy.existingConfigMap (include "nimbus-agent.stop" .) -}}
{{- include "nimbus-agent.wrong" (list "policy.existingConfigMap"
  "another ConfigMap than the one whose presence stops the agents" (quote $policy.existingConfigMap)
  "give the policy a ConfigMap of another name") -}}
{{- end -}}
{{- range $name := list "auto" "deny" "paths" "denyPaths" "diffPaths" "denyDiffPaths" "jobsPerHour" -}}
{{- if index $policy $name -}}
{{- include "nimbus-agent.wrong" (list (printf "policy.%s" $name)
  (printf "none, as the policy is in the ConfigMap %s" (include "nimbus-agent.named" $policy.existingConfigMap)) "some"
  "write it into that policy, or leave the ConfigMap out") -}}
{{- end -}}
{{- end -}}
{{- if ne (toJson $policy.denyNamespaces) "[\"kube-system\"]" -}}
{{- include "nimbus-agent.wrong" (list "policy.denyNamespaces"
  (printf "the default, as the policy is in the ConfigMap %s" (include "nimbus-agent.named" $policy.existingConfigMap)) (toJson $policy.denyNamespaces)
  "write it into that policy, or leave the ConfigMap out") -}}
{{- end -}}
{{- end -}}
{{- range $name := list "paths" "diffPaths" -}}
{{- if and (index $policy $name) (not (default dict $.Values.hostAccess).files) -}}
{{- include "nimbus-agent.wrong" (list (printf "policy.%s" $name) "none, as hostAccess.files names no file that would be watched"
  (index $policy $name | join ", " | quote) "name the files in hostAccess.files, or leave it out") -}}
{{- end -}}
{{- end -}}
{{- range $name := list "paths" "denyPaths" "diffPaths" "denyDiffPaths" -}}
{{- range index $policy $name -}}
{{- if not (include "nimbus-agent.plainPath" .) -}}
{{- include "nimbus-agent.wrong" (list (printf "policy.%s" $name)
  "absolute paths without `.`, `..`, `//` or a slash at the end" (quote .) "correct it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Is it a path that names one thing in one way? "true" or nothing. */ -}}
{{- define "nimbus-agent.plainPath" -}}
{{- if and (regexMatch "^(/[^/]+)+$" .) (not (regexMatch "/[.]{1,2}(/|$)" .)) -}}true{{- end -}}
{{- end -}}

{{- /* Which value gives the pods something of their nodes? Nothing where none does. */ -}}
{{- define "nimbus-agent.ofTheNode" -}}
{{- with .Values.hostAccess -}}{{- if .files -}}hostAccess.files{{- else if .units -}}hostAccess.units{{- end -}}{{- end -}}
{{- end -}}

{{- define "nimbus-agent.check.hostAccess" -}}
{{- if .Values.hostAccess.units -}}
{{- /* The container's own user stands before its pod's. */ -}}
{{- $own := not (kindIs "invalid" .Values.securityContext.runAsUser) -}}
{{- $user := ternary .Values.securityContext.runAsUser .Values.podSecurityContext.runAsUser $own -}}
{{- if and (not (kindIs "invalid" $user)) (eq (include "nimbus-agent.number" $user) "0") -}}
{{- include "nimbus-agent.wrong" (list (ternary "securityContext.runAsUser" "podSecurityContext.runAsUser" $own)
  "another user than root, as hostAccess.units mounts the nodes' system bus, which does for root whatever it is told" "0"
  "leave it out: nobody (65534), whom every node knows, reads the units") -}}
{{- end -}}
{{- end -}}
{{- $seen := list -}}
{{- range .Values.hostAccess.files -}}
{{- $path := .path -}}
{{- if or (not (include "nimbus-agent.plainPath" $path)) (contains ":" $path) -}}
{{- include "nimbus-agent.wrong" (list "hostAccess.files"
  "absolute paths below / without `.`, `..`, `//`, `:` or a slash at the end" (quote $path) "correct it") -}}
{{- end -}}
{{- /* Among them what the runtime makes for each pod: with the nodes' own, it would know its own names no more. */ -}}
{{- range list "/usr/bin/nimbus-agent" "/etc/nimbus" "/etc/nimbus-stop" "/etc/resolv.conf" "/etc/hosts" "/etc/hostname" "/var/lib/nimbus-agent"
  "/host/run/dbus" "/var/run/secrets" "/run/secrets" "/proc" "/sys" "/dev" -}}
{{- if or (eq . $path) (hasPrefix (printf "%s/" .) $path) (hasPrefix (printf "%s/" $path) .) -}}
{{- include "nimbus-agent.wrong" (list "hostAccess.files" (printf "no path that holds %s of the pod itself, or is in it" .)
  (quote $path) "name what is to be watched more closely") -}}
{{- end -}}
{{- end -}}
{{- if has $path $seen -}}
{{- include "nimbus-agent.wrong" (list "hostAccess.files" "each path once" (quote $path) "leave one of them out") -}}
{{- end -}}
{{- $seen = append $seen $path -}}
{{- end -}}
{{- end -}}
