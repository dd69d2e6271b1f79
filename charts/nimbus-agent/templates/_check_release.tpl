{{- /* What is installed already. The same in both charts; see _check.tpl. */ -}}

{{- /*
Neighbouring versions work side by side, others are not tried: a release goes from one minor version to the next. Asks the
cluster, so with `helm template` and --dry-run=client, which ask none, there is nothing to say. `kind` is of what has the pods.
*/ -}}
{{- define "nimbus-agent.check.release" -}}
{{- $found := lookup "apps/v1" .kind .root.Release.Namespace "" | default dict -}}
{{- include "nimbus-agent.check.installed" (dict "root" .root "kind" .kind "objects" $found.items) -}}
{{- include "nimbus-agent.check.selects" (dict "root" .root "kind" .kind "objects" $found.items) -}}
{{- end -}}

{{- /*
Kubernetes lets nobody change by what labels pods are selected: the upgrade would fail at the object of the `kind`, after Services
select by the new ones and find no pod. Of a release it is nameOverride that changes them, where fullnameOverride keeps the name.
*/ -}}
{{- define "nimbus-agent.check.selects" -}}
{{- $kind := .kind -}}
{{- $objects := .objects -}}
{{- with .root -}}
{{- $name := include "nimbus-agent.fullname" . -}}
{{- $new := include "nimbus-agent.selector" . | fromYaml -}}
{{- range $objects -}}
{{- $old := dig "spec" "selector" "matchLabels" dict . -}}
{{- if and $old (eq .metadata.name $name) (include "nimbus-agent.isOwn" (dict "root" $.root "object" .)) (ne (toJson $old) (toJson $new)) -}}
{{- $label := "app.kubernetes.io/name" -}}
{{- include "nimbus-agent.wrong" (list "nameOverride"
  (printf "the name of before, %s: by it the %s %s/%s selects its pods, and nobody can change that"
    (get $old $label | quote) $kind $.root.Release.Namespace $name)
  (get $new $label | include "nimbus-agent.named") "give it as before (--reset-then-reuse-values does)") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
The `objects` of the `kind` in the namespace: those of this release are known by their labels, as another fullnameOverride or
nameOverride is another name. Of several the newest counts. What is another release's is none of ours: helm says so itself.
*/ -}}
{{- define "nimbus-agent.check.installed" -}}
{{- $kind := .kind -}}
{{- $objects := .objects -}}
{{- with .root -}}
{{- $newest := -1 -}}
{{- $found := list -}}
{{- range $objects -}}
{{- $labels := dig "metadata" "labels" dict . | default dict -}}
{{- $version := toString (get $labels "app.kubernetes.io/version") -}}
{{- if include "nimbus-agent.isOwn" (dict "root" $.root "object" .) -}}
{{- $numbers := regexFind "^v?[0-9]+[.][0-9]+" $version | trimPrefix "v" | splitList "." -}}
{{- $rank := add (first $numbers | atoi | mul 1000000) (last $numbers | atoi) | int -}}
{{- if gt $rank $newest -}}
{{- $newest = $rank -}}
{{- $found = list (printf "%s %s/%s" $kind $.root.Release.Namespace .metadata.name) $version -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $found -}}{{- include "nimbus-agent.check.versions" (append $found .Chart.AppVersion) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Is this `object` of this release? "true" or nothing. */ -}}
{{- define "nimbus-agent.isOwn" -}}
{{- $labels := dig "metadata" "labels" dict .object | default dict -}}
{{- $chart := printf "^%s-v?[0-9]" (regexQuoteMeta .root.Chart.Name) -}}
{{- $release := eq (get $labels "app.kubernetes.io/instance") .root.Release.Name -}}
{{- if and $release (regexMatch $chart (get $labels "helm.sh/chart")) -}}true{{- end -}}
{{- end -}}

{{- /* Judges what is installed: its name, its version and that of this chart. What has no form of a version is not judged. */ -}}
{{- define "nimbus-agent.check.versions" -}}
{{- $form := "^v?[0-9]+[.][0-9]+" -}}
{{- $found := regexFind $form (index . 1) | trimPrefix "v" -}}
{{- $own := regexFind $form (index . 2) | trimPrefix "v" -}}
{{- if and $found $own -}}
{{- $numbers := splitList "." $found -}}
{{- $wanted := splitList "." $own -}}
{{- $minors := sub (last $wanted | atoi) (last $numbers | atoi) -}}
{{- if or (ne (first $numbers | atoi) (first $wanted | atoi)) (gt $minors 1) (lt $minors -1) -}}
{{- include "nimbus-agent.wrong" (list (printf "the version of the %s" (index . 0))
  (printf "the same major version as this chart, %s, and at most one minor version up or down" (index . 2)) (index . 1)
  "go to each minor version between first, one after the other (docs/upgrade.md)") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
A value that says "mine", which names what this release made: helm would delete it, as the chart makes it no more, and what is
left would name something that is gone. `at` is the value, `kind` and `name` are the object's, and `sets` is the kind of what has
the pods: only where those of this release use that very object is the cluster asked for it.
*/ -}}
{{- define "nimbus-agent.check.mine" -}}
{{- $mine := . -}}
{{- if .name -}}
{{- $sets := lookup "apps/v1" .sets .root.Release.Namespace "" | default dict -}}
{{- $used := false -}}
{{- range $sets.items -}}
{{- $own := include "nimbus-agent.isOwn" (dict "root" $mine.root "object" .) -}}
{{- if and $own (include "nimbus-agent.uses" (dict "set" . "kind" $mine.kind "name" $mine.name)) -}}{{- $used = true -}}{{- end -}}
{{- end -}}
{{- if $used -}}
{{- $object := lookup "v1" .kind .root.Release.Namespace .name | default dict -}}
{{- include "nimbus-agent.check.lets" (dict "root" .root "at" .at "kind" .kind "object" $object) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Do the pods of the `set` use the object of this `kind` and `name`? "true" or nothing. */ -}}
{{- define "nimbus-agent.uses" -}}
{{- $kind := .kind -}}
{{- $pod := dig "spec" "template" "spec" dict .set -}}
{{- $names := list -}}
{{- if eq $kind "ServiceAccount" -}}{{- $names = append $names (get $pod "serviceAccountName") -}}{{- end -}}
{{- range get $pod "volumes" -}}
{{- if eq $kind "ConfigMap" -}}{{- $names = append $names (dig "configMap" "name" "" .) -}}{{- end -}}
{{- if eq $kind "Secret" -}}{{- $names = append $names (dig "secret" "secretName" "" .) -}}{{- end -}}
{{- end -}}
{{- range get $pod "containers" -}}
{{- range .env -}}
{{- if eq $kind "Secret" -}}{{- $names = append $names (dig "valueFrom" "secretKeyRef" "name" "" .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if has .name $names -}}true{{- end -}}
{{- end -}}

{{- /* Judges the `object` that the value `at` names. */ -}}
{{- define "nimbus-agent.check.lets" -}}
{{- $kept := dig "metadata" "annotations" "helm.sh/resource-policy" "" .object -}}
{{- if and .object (include "nimbus-agent.isOwn" (dict "root" .root "object" .object)) (ne $kept "keep") -}}
{{- $name := .object.metadata.name -}}
{{- include "nimbus-agent.wrong" (list .at
  (printf "a %s that helm leaves where it is: %s was made by this release, and is deleted when the chart no longer makes it" .kind (quote $name))
  "one without helm.sh/resource-policy: keep"
  (printf "first run: kubectl -n %s annotate %s %s helm.sh/resource-policy=keep" .root.Release.Namespace (lower .kind) $name)) -}}
{{- end -}}
{{- end -}}
