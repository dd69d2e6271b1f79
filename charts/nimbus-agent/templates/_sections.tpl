{{- /*
Sections of the values that are null: `--set kubelet=null`, a key with nothing after it, or a section that this version added
and `helm upgrade --reuse-values` does not know. Without this, the first template that looks into one ends with a "nil
pointer" and names no value. Every template begins with it, as helm renders them in an order of its own; it renders nothing.
*/ -}}
{{- define "nimbus-agent.sections" -}}
{{- /* Null means what the default means: empty, or switched off. */ -}}
{{- $left := list "commonLabels" "serviceAccount.annotations" "resources" "nodeSelector" "affinity" "annotations"
  "podAnnotations" "podLabels" "networkPolicy"
  "metrics" "metrics.podMonitor" "metrics.podMonitor.labels" "metrics.prometheusRule" "metrics.prometheusRule.labels" -}}
{{- /* Null would take away what the agents need, or what they are protected by. Of `podSecurityContext` and
  `securityContext` single fields may be null, as Kubernetes defines them, and of `resources` too: what is below these is in
  neither list. */ -}}
{{- $needed := list "image" "join" "read" "kubelet" "lease" "acting" "policy" "hostAccess" "log" "telemetry" "state"
  "serviceAccount" "podSecurityContext" "securityContext" "probes" "updateStrategy" -}}
{{- $found := "" -}}
{{- range $path := concat $needed $left -}}
{{- $names := splitList "." $path -}}
{{- $above := $.Values -}}
{{- range initial $names -}}
{{- if kindIs "map" $above -}}{{- $above = index $above . -}}{{- end -}}
{{- end -}}
{{- /* Where the section above is null, that is said already. */ -}}
{{- if not (kindIs "map" $above) -}}
{{- else if kindIs "map" (index $above (last $names)) -}}
{{- else if has $path $left -}}
{{- $_ := set $above (last $names) dict -}}
{{- else -}}
{{- $found = printf "%s\n  - value `%s` is null: expected a mapping; remove the key or give its fields" $found $path -}}
{{- end -}}
{{- end -}}
{{- if $found -}}
{{- fail (printf "nothing was installed, because of these values:%s\nWhere an upgrade with --reuse-values says this, use --reset-then-reuse-values, which adds what is new.\n" $found) -}}
{{- end -}}
{{- end -}}
