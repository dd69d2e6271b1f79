{{- /* What the cluster itself says of the values: is it the one that they are for, and has it their namespaces? See _check.tpl. */ -}}

{{- /*
A namespace that is not there ends an installation half-way. Every cluster has kube-system: where it is not found, nobody was
asked, as with `helm template` and --dry-run=client, and there is nothing to say. Each is asked for by its name. Whoever has the
rights that the chart gives may do that; whoever gives them by `escalate` and `bind` may not, and helm ends where a look is
forbidden. So acting.checkCluster switches it off.
*/ -}}
{{- define "nimbus-agent.check.cluster" -}}
{{- $asks := include "nimbus-agent.asks" . | fromYaml -}}
{{- if $asks -}}
{{- $found := dict -}}
{{- with lookup "v1" "Namespace" "" "kube-system" -}}
{{- $_ := set $found "kube-system" . -}}
{{- range $name, $_ := $asks.named -}}{{- $_ := set $found $name (lookup "v1" "Namespace" "" $name) -}}{{- end -}}
{{- include "nimbus-agent.check.found" (dict "root" $ "named" $asks.named "found" $found) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
The ConfigMap that stops the agents goes by the DaemonSet's name: under another name they would not know of it and act again.
*/ -}}
{{- define "nimbus-agent.check.stop" -}}
{{- $name := include "nimbus-agent.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $sets := lookup "apps/v1" "DaemonSet" $namespace "" | default dict -}}
{{- $stopped := list -}}
{{- range $sets.items -}}
{{- if and (ne .metadata.name $name) (include "nimbus-agent.isOwn" (dict "root" $ "object" .)) -}}
{{- $stop := lookup "v1" "ConfigMap" $namespace (printf "%s-stop" .metadata.name) | default dict -}}
{{- /* An empty one stops nobody. */ -}}
{{- if or $stop.data $stop.binaryData -}}{{- $stopped = append $stopped .metadata.name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $stopped -}}
{{- $new := lookup "v1" "ConfigMap" $namespace (include "nimbus-agent.stop" .) | default dict -}}
{{- include "nimbus-agent.check.stopped" (dict "root" . "stopped" $stopped "new" (or $new.data $new.binaryData)) -}}
{{- end -}}
{{- end -}}

{{- /* Judges the names of DaemonSets that are `stopped`, and whether the `new` one is. */ -}}
{{- define "nimbus-agent.check.stopped" -}}
{{- if not .new -}}
{{- $name := include "nimbus-agent.fullname" .root -}}
{{- range .stopped -}}
{{- include "nimbus-agent.wrong" (list (ternary "fullnameOverride" "nameOverride" (empty $.root.Values.nameOverride))
  (printf "the name of before, %s: the ConfigMap %s-stop stops its agents, and those of another name would act again" (quote .) .)
  (quote $name)
  (printf "give it as before, or first run: kubectl -n %s create configmap %s --from-literal=why=renamed" $.root.Release.Namespace (include "nimbus-agent.stop" $.root))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What the cluster is asked for, as YAML: the namespaces that values have `named`, by their names. Nothing where it is not asked. */ -}}
{{- define "nimbus-agent.asks" -}}
{{- $named := dict -}}
{{- with include "nimbus-agent.leaseNamespace" . -}}
{{- /* That of the release is made with it, or there. */ -}}
{{- if not (has . (list "kube-system" $.Release.Namespace)) -}}{{- $_ := set $named . "lease.namespace" -}}{{- end -}}
{{- end -}}
{{- $off := eq (toString .Values.acting.checkCluster) "false" -}}
{{- if not $off -}}
{{- with (include "nimbus-agent.refusedBy" (dict "root" . "minor" 0) | fromYaml).restricted -}}{{- $_ := set $named $.Release.Namespace . -}}{{- end -}}
{{- end -}}
{{- range .Values.acting.namespaces -}}{{- $_ := set $named . "acting.namespaces" -}}{{- end -}}
{{- if and (or $named .Values.acting.clusterUid) (not $off) -}}{{- dict "named" $named | toJson -}}{{- end -}}
{{- end -}}

{{- /*
Judges the cluster by its namespaces (`found`, by their names), and those that values have `named`. That of the release is made by helm
before anything else where it is not there (--create-namespace).
*/ -}}
{{- define "nimbus-agent.check.found" -}}
{{- $uid := default "" .root.Values.acting.clusterUid -}}
{{- $own := toString (index .found "kube-system").metadata.uid -}}
{{- if and (regexMatch "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" $uid) (ne $uid $own) -}}
{{- include "nimbus-agent.wrong" (list "acting.clusterUid" (printf "%s, the UID of this cluster" (quote $own)) (quote $uid)
  "set it to that, or choose the cluster that it is of with --kube-context: in another one the agents would have rights, and never use them") -}}
{{- end -}}
{{- range $name, $value := .named -}}
{{- $namespace := get $.found $name | default dict -}}
{{- if eq $name $.root.Release.Namespace -}}
{{- include "nimbus-agent.check.enforced" (dict "root" $.root "namespace" $namespace) -}}
{{- else if not $namespace -}}
{{- include "nimbus-agent.wrong" (list $value "namespaces that are there" (printf "no %s in this cluster" (quote $name))
  (printf "correct it, or run first: kubectl create namespace %s" $name)) -}}
{{- else if dig "metadata" "deletionTimestamp" "" $namespace -}}
{{- include "nimbus-agent.wrong" (list $value "namespaces that stay" (printf "%s, which is being deleted" (quote $name))
  "leave it out, or wait until it is gone and make it again") -}}
{{- end -}}
{{- end -}}
{{- end -}}
