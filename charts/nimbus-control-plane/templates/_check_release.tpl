{{- /* What is installed already. The same in both charts; see _check.tpl. */ -}}

{{- /*
Neighbouring versions work side by side, others are not tried: a release goes from one minor version to the next. Asks the
cluster, so with `helm template` and --dry-run=client, which ask none, there is nothing to say. `kind` is of what has the pods.
*/ -}}
{{- define "nimbus-control-plane.check.release" -}}
{{- $kind := .kind -}}
{{- with .root -}}
{{- $name := include "nimbus-control-plane.fullname" . -}}
{{- $labels := (lookup "apps/v1" $kind .Release.Namespace $name | default dict | dig "metadata" "labels" dict) -}}
{{- /* Another release's is none of ours: helm says so itself. */ -}}
{{- if eq (get $labels "app.kubernetes.io/instance") .Release.Name -}}
{{- include "nimbus-control-plane.check.versions" (list (printf "%s %s/%s" $kind .Release.Namespace $name)
  (get $labels "app.kubernetes.io/version") .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Judges what is installed: its name, its version and that of this chart. What has no form of a version is not judged. */ -}}
{{- define "nimbus-control-plane.check.versions" -}}
{{- $form := "^v?[0-9]+[.][0-9]+" -}}
{{- $found := regexFind $form (index . 1) | trimPrefix "v" -}}
{{- $own := regexFind $form (index . 2) | trimPrefix "v" -}}
{{- if and $found $own -}}
{{- $numbers := splitList "." $found -}}
{{- $wanted := splitList "." $own -}}
{{- $minors := sub (last $wanted | atoi) (last $numbers | atoi) -}}
{{- if or (ne (first $numbers | atoi) (first $wanted | atoi)) (gt $minors 1) (lt $minors -1) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "the version of the %s" (index . 0))
  (printf "the same major version as this chart, %s, and at most one minor version up or down" (index . 2)) (index . 1)
  "go to each minor version between first, one after the other (docs/upgrade.md)") -}}
{{- end -}}
{{- end -}}
{{- end -}}
