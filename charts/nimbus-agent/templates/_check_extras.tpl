{{- /* What is added must not be what the chart sets itself. See _check.tpl. */ -}}

{{- define "nimbus-agent.check.extras" -}}
{{- if hasKey .Values.podAnnotations "checksum/join" -}}
{{- include "nimbus-agent.wrong" (list "podAnnotations" "other annotations than checksum/join, by which another token is another pod"
  (index .Values.podAnnotations "checksum/join" | quote) "leave it out, or give yours another name") -}}
{{- end -}}
{{- $variables := dict "RUST_LOG" "log.filter" "NIMBUS_LOG_FORMAT" "log.format" "NIMBUS_SERVER" "server"
  "NIMBUS_JOIN_TOKEN" "join.existingSecret" "NIMBUS_SERVICE_ACCOUNT_TOKEN" "join.existingSecret" "NIMBUS_POLICY" "policy"
  "NIMBUS_KUBELET_PORT" "kubelet.port" "NIMBUS_KUBELET_CA" "kubelet.certificateAuthority"
  "NIMBUS_KUBELET_INSECURE_SKIP_VERIFY" "kubelet.insecureSkipVerify" "NIMBUS_TELEMETRY" "telemetry" "NIMBUS_WATCH" "hostAccess.files"
  "NIMBUS_SYSTEM_BUS" "hostAccess.units" "NIMBUS_TLS_SECRETS" "read.tlsSecrets"
  "NIMBUS_FINISH_JOBS" "terminationGracePeriodSeconds" -}}
{{- $fixed := list "NIMBUS_IN_CLUSTER" "NIMBUS_NO_CLUSTER" "NIMBUS_KUBECONFIG" "NIMBUS_KUBE_CONTEXT" "NIMBUS_DATA_DIR"
  "NIMBUS_AGENT_NAME" "NIMBUS_NODE" "NIMBUS_NODE_IP" "NIMBUS_POD_NAME" "NIMBUS_POD_NAMESPACE" "NIMBUS_POD_UID" "NIMBUS_STOP_DIR" -}}
{{- include "nimbus-agent.check.twice" (dict "at" "extraEnv" "objects" .Values.extraEnv) -}}
{{- include "nimbus-agent.check.twice" (dict "at" "extraVolumes" "objects" .Values.extraVolumes) -}}
{{- include "nimbus-agent.check.sources" .Values -}}
{{- range .Values.extraEnv -}}
{{- $variable := .name -}}
{{- with index $variables $variable -}}
{{- include "nimbus-agent.wrong" (list "extraEnv" "variables that no other value is for" (quote $variable)
  (printf "use the value %s" .)) -}}
{{- end -}}
{{- if has $variable $fixed -}}
{{- include "nimbus-agent.wrong" (list "extraEnv" "variables that say nothing of the pod and its cluster" (quote $variable)
  "leave it out: the chart knows it") -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraVolumes -}}
{{- if or (has .name (list "state" "policy" "stop" "proof")) (hasPrefix "host-" .name) -}}
{{- include "nimbus-agent.wrong" (list "extraVolumes" "other names than state, policy, stop, proof and host-…" (quote .name)
  "give it another name, in extraVolumeMounts too") -}}
{{- end -}}
{{- end -}}
{{- /* One that is mounted over the file of the policy would never be renewed, and anything in nimbus-stop stops the agents. */ -}}
{{- $mounted := list "/var/lib/nimbus-agent" "/etc/nimbus" "/etc/nimbus-stop" "/var/run/secrets/nimbus" -}}
{{- if .Values.hostAccess.units -}}{{- $mounted = append $mounted "/host/run/dbus" -}}{{- end -}}
{{- range .Values.hostAccess.files -}}{{- $mounted = append $mounted (clean .path) -}}{{- end -}}
{{- $volumes := list -}}
{{- range include "nimbus-agent.volumes" . | fromYamlArray -}}{{- $volumes = append $volumes .name -}}{{- end -}}
{{- include "nimbus-agent.check.mounts" .Values.extraVolumeMounts -}}
{{- range .Values.extraVolumeMounts -}}
{{- include "nimbus-agent.check.mountPath" (dict "mount" . "own" $mounted "open" (list) "programs" (list "/usr/bin/nimbus-agent")) -}}
{{- if not (has .name $volumes) -}}
{{- include "nimbus-agent.wrong" (list "extraVolumeMounts"
  (printf "for the path %s a volume of extraVolumes or of the chart itself, so one of %s" (quote .mountPath) (join ", " $volumes))
  (quote .name) "add a volume of that name to extraVolumes, or name another one") -}}
{{- end -}}
{{- end -}}
{{- end -}}
