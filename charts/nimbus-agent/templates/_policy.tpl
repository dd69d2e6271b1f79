{{- /* The agents' policy as TOML: exactly the actions, the cluster and the namespaces of `acting`. */ -}}
{{- define "nimbus-agent.policyText" -}}
# Made by the chart from the values `acting` and `policy`; an agent reads it before every job.
allow = {{ default list .Values.acting.actions | toJson }}
{{- with .Values.policy.auto }}
auto = {{ toJson . }}
{{- end }}
deny = {{ default list .Values.policy.deny | toJson }}
clusters = {{ ternary (list .Values.acting.clusterUid) list (not (empty .Values.acting.clusterUid)) | toJson }}
namespaces = {{ default list .Values.acting.namespaces | toJson }}
deny_namespaces = {{ default list .Values.policy.denyNamespaces | toJson }}
paths = {{ default list .Values.policy.paths | toJson }}
deny_paths = {{ default list .Values.policy.denyPaths | toJson }}
diff_paths = {{ default list .Values.policy.diffPaths | toJson }}
deny_diff_paths = {{ default list .Values.policy.denyDiffPaths | toJson }}
{{- with int .Values.policy.jobsPerHour }}
jobs_per_hour = {{ . }}
{{- end }}
{{- end -}}
