{{- /* What is added must not be what the chart sets itself. See _check.tpl. */ -}}

{{- define "nimbus-control-plane.check.extras" -}}
{{- if hasKey .Values.podAnnotations "checksum/config" -}}
{{- include "nimbus-control-plane.wrong" (list "podAnnotations" "other annotations than checksum/config, by which other settings are another pod"
  (index .Values.podAnnotations "checksum/config" | quote) "leave it out, or give yours another name") -}}
{{- end -}}
{{- if hasKey .Values.persistence.annotations "helm.sh/resource-policy" -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.annotations" "other annotations than helm.sh/resource-policy"
  (index .Values.persistence.annotations "helm.sh/resource-policy" | quote) "use the value persistence.keep") -}}
{{- end -}}
{{- $arguments := dict "--data-dir" "persistence" "--listen" "listenAddress" "--quic" "listenAddress"
  "--database" "database.existingSecret" "--name" "names" "--tls-cert" "tls.existingSecret"
  "--tls-key" "tls.existingSecret" "--max-connections" "maxConnections" "--config" "config"
  "--log-format" "log.format" "--advertise" "services.advertise" "--keys" "keys.existingSecret" "--stand-by" "replicas"
  "--tcp" "services.agentsOverTcp" "--no-tcp" "services.agentsOverTcp" "--metrics-token-file" "metrics.serviceMonitor.tokenSecret" -}}
{{- range .Values.extraArgs -}}
{{- $option := first (splitList "=" .) -}}
{{- with index $arguments $option -}}
{{- include "nimbus-control-plane.wrong" (list "extraArgs" "arguments that no other value is for" (quote $option)
  (printf "use the value %s" .)) -}}
{{- end -}}
{{- end -}}
{{- $variables := dict "RUST_LOG" "log.filter" "NIMBUS_DATABASE_URL" "database.existingSecret"
  "NIMBUS_DATA_DIR" "persistence" "NIMBUS_ADVERTISE" "services.advertise" "NIMBUS_KEYS" "keys.existingSecret" "NIMBUS_STAND_BY" "replicas"
  "NIMBUS_TCP" "services.agentsOverTcp" "NIMBUS_METRICS_TOKEN_FILE" "metrics.serviceMonitor.tokenSecret" -}}
{{- include "nimbus-control-plane.check.twice" (dict "at" "extraEnv" "objects" .Values.extraEnv) -}}
{{- include "nimbus-control-plane.check.twice" (dict "at" "extraVolumes" "objects" .Values.extraVolumes) -}}
{{- include "nimbus-control-plane.check.sources" .Values -}}
{{- range .Values.extraEnv -}}
{{- $variable := .name -}}
{{- with index $variables $variable -}}
{{- include "nimbus-control-plane.wrong" (list "extraEnv" "variables that no other value is for" (quote $variable)
  (printf "use the value %s" .)) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraVolumes -}}
{{- if has .name (list "data" "tmp" "config" "tls" "keys" "metrics" "backups") -}}
{{- include "nimbus-control-plane.wrong" (list "extraVolumes" "other names than data, tmp, config, tls, keys, metrics and backups" (quote .name)
  "give it another name, in extraVolumeMounts too") -}}
{{- end -}}
{{- end -}}
{{- $mounted := list "/var/lib/nimbus" "/tmp" "/etc/nimbus" "/etc/nimbus-tls" "/etc/nimbus-keys" "/etc/nimbus-metrics" "/backups" -}}
{{- $volumes := list -}}
{{- range include "nimbus-control-plane.volumes" . | fromYamlArray -}}{{- $volumes = append $volumes .name -}}{{- end -}}
{{- $own := $volumes -}}
{{- $both := "" -}}
{{- if .Values.backup.enabled -}}
{{- $both = " (which the pod of the backup has too)" -}}
{{- /* The pod of the backup is given these mounts too, and has fewer volumes. */ -}}
{{- $volumes = without $volumes "tmp" "config" "tls" "metrics" -}}
{{- if not (include "nimbus-control-plane.claim" .) -}}{{- $volumes = without $volumes "data" -}}{{- end -}}
{{- end -}}
{{- $programs := list "/usr/bin/nimbus-control-plane" -}}
{{- if .Values.backup.enabled -}}{{- $programs = append $programs "/usr/bin/nimbus" -}}{{- end -}}
{{- include "nimbus-control-plane.check.mounts" .Values.extraVolumeMounts -}}
{{- range .Values.extraVolumeMounts -}}
{{- include "nimbus-control-plane.check.mountPath" (dict "mount" . "own" $mounted "open" (list "/tmp") "programs" $programs) -}}
{{- if not (has .name $volumes) -}}
{{- include "nimbus-control-plane.wrong" (list "extraVolumeMounts"
  (printf "for the path %s a volume of extraVolumes or of the chart itself, so one of %s%s" (quote .mountPath) (join ", " $volumes) $both)
  (quote .name) (ternary "add a volume of another name for the same source to extraVolumes, as the pod of the backup does not have this one"
    "add a volume of that name to extraVolumes, or name another one" (has .name $own))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
