{{- /* The agents' policy as TOML: exactly the actions, the cluster and the namespaces of `acting`. */ -}}
{{- define "nimbus-agent.policyText" -}}
# Made by the chart from the values `acting` and `policy`; an agent reads it before every job.
allow = {{ toJson .Values.acting.actions }}
deny = {{ toJson .Values.policy.deny }}
clusters = {{ ternary (list .Values.acting.clusterUid) list (not (empty .Values.acting.clusterUid)) | toJson }}
namespaces = {{ toJson .Values.acting.namespaces }}
deny_namespaces = {{ toJson .Values.policy.denyNamespaces }}
paths = {{ toJson .Values.policy.paths }}
deny_paths = {{ toJson .Values.policy.denyPaths }}
diff_paths = {{ toJson .Values.policy.diffPaths }}
deny_diff_paths = {{ toJson .Values.policy.denyDiffPaths }}
{{- with int .Values.policy.jobsPerHour }}
jobs_per_hour = {{ . }}
{{- end }}
{{- end -}}
