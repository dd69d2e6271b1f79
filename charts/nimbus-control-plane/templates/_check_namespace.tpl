{{- /* What the cluster says of the release's namespace. See _check.tpl and _check_pod_security.tpl. */ -}}

{{- /* Which value gives the pods something of their nodes? None of this chart's own does. */ -}}
{{- define "nimbus-control-plane.ofTheNode" -}}{{- end -}}

{{- /*
Asked only where values ask for more than `restricted` takes. Where the namespace is not found, nobody was asked, as with `helm template`,
or helm makes it. Helm ends where a look is forbidden: checkNamespace switches it off.
*/ -}}
{{- define "nimbus-control-plane.check.namespace" -}}
{{- if and (ne (toString .Values.checkNamespace) "false") (include "nimbus-control-plane.refusedBy" (dict "root" . "minor" 0) | fromYaml).restricted -}}
{{- with lookup "v1" "Namespace" "" .Release.Namespace -}}
{{- include "nimbus-control-plane.check.enforced" (dict "root" $ "namespace" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
