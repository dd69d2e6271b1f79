{{- /* The rules of files/roles.yaml, which is made from the agent's own list of rights, for what is allowed. */ -}}

{{- /* The rules of the named actions on the cluster or in a namespace: `root`, and `on` (cluster, namespace). */ -}}
{{- define "nimbus-agent.acting" -}}
{{- $actions := (.root.Files.Get "files/roles.yaml" | fromYaml).actions -}}
{{- $on := .on -}}
{{- range .root.Values.acting.actions }}
{{- with index $actions . }}
{{- with index . $on }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
