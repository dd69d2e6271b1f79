{{- /*
Sections of the values that are null: `--set services=null`, a key with nothing after it, or a section that this version added
and `helm upgrade --reuse-values` does not know. Without this, the first template that looks into one ends with a "nil
pointer" and names no value. Every template begins with it, as helm renders them in an order of its own; it renders nothing.
*/ -}}
{{- define "nimbus-control-plane.sections" -}}
{{- /* Null means what the default means: empty, or switched off. */ -}}
{{- $left := list "commonLabels" "config.settings" "tls.certManager" "tls.certManager.issuerRef" "persistence.annotations"
  "backup" "backup.image" "backup.resources"
  "services.operators.annotations" "services.operators.labels" "services.agents.annotations" "services.agents.labels"
  "serviceAccount.annotations" "resources" "annotations" "podAnnotations" "podLabels"
  "nodeSelector" "affinity" "podDisruptionBudget" "networkPolicy" "metrics" "metrics.serviceMonitor"
  "metrics.serviceMonitor.labels" "metrics.prometheusRule" "metrics.prometheusRule.labels"
  "metrics.dashboard" "metrics.dashboard.labels" "metrics.dashboard.annotations" "test" "test.image" -}}
{{- /* Null would take away what the control plane needs, or what it is protected by. Of `podSecurityContext` and
  `securityContext` single fields may be null, as Kubernetes defines them, and of `resources` too: what is below these is in
  neither list. */ -}}
{{- $needed := list "image" "log" "config" "database" "tls" "keys" "persistence" "services" "services.operators" "services.agents"
  "serviceAccount" "podSecurityContext" "securityContext" "probes" -}}
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
