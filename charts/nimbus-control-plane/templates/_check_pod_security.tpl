{{- /* Which values Pod Security refuses, by the Pod Security Standards of Kubernetes 1.25 and later. */ -}}

{{- /*
Judges the release's `namespace`, as the cluster has it. Helm would say that the release is deployed, and no pod would ever be made.
*/ -}}
{{- define "nimbus-control-plane.check.enforced" -}}
{{- $enforced := dig "metadata" "labels" "pod-security.kubernetes.io/enforce" "" .namespace -}}
{{- with index (include "nimbus-control-plane.refusedBy" .root | fromYaml) $enforced -}}
{{- include "nimbus-control-plane.wrong" (list . "nothing that Pod Security refuses in the namespace of the release"
  (printf "%s, which enforces %s" (quote $.root.Release.Namespace) (quote $enforced))
  "leave it out, or install into a namespace of its own, first: kubectl create namespace NAME; kubectl label namespace NAME pod-security.kubernetes.io/enforce=privileged") -}}
{{- end -}}
{{- end -}}

{{- /*
As YAML: for `baseline` and `restricted` the first value that a namespace which enforces that level refuses; nothing where it takes the
pods, as far as this looks: not at labels of SELinux, settings of the kernel, Windows and AppArmor by annotations, which `nimbus preflight`
asks the cluster itself about. What the chart itself renders is taken by both.
*/ -}}
{{- define "nimbus-control-plane.refusedBy" -}}
{{- $baseline := list -}}
{{- $restricted := list -}}
{{- with include "nimbus-control-plane.ofTheNode" . -}}{{- $baseline = append $baseline . -}}{{- end -}}
{{- range .Values.extraVolumes -}}
{{- if .hostPath -}}{{- $baseline = append $baseline "extraVolumes" -}}{{- end -}}
{{- $taken := list "name" "configMap" "csi" "downwardAPI" "emptyDir" "ephemeral" "persistentVolumeClaim" "projected" "secret" -}}
{{- range $kind, $source := . -}}
{{- if not (or (kindIs "invalid" $source) (has $kind $taken)) -}}{{- $restricted = append $restricted "extraVolumes" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $container := default dict .Values.securityContext -}}
{{- $pod := default dict .Values.podSecurityContext -}}
{{- if eq (toString $container.privileged) "true" -}}{{- $baseline = append $baseline "securityContext.privileged" -}}{{- end -}}
{{- if not (has (toString (default "Default" $container.procMount)) (list "Default")) -}}
{{- $baseline = append $baseline "securityContext.procMount" -}}
{{- end -}}
{{- $usual := list "AUDIT_WRITE" "CHOWN" "DAC_OVERRIDE" "FOWNER" "FSETID" "KILL" "MKNOD" "NET_BIND_SERVICE" "SETFCAP" "SETGID" "SETPCAP"
  "SETUID" "SYS_CHROOT" -}}
{{- /* Of another form Kubernetes takes none. */ -}}
{{- $capabilities := ternary $container.capabilities dict (kindIs "map" $container.capabilities) -}}
{{- range ternary $capabilities.add list (kindIs "slice" $capabilities.add) -}}
{{- if not (has . $usual) -}}{{- $baseline = append $baseline "securityContext.capabilities.add" -}}
{{- else if ne . "NET_BIND_SERVICE" -}}{{- $restricted = append $restricted "securityContext.capabilities.add" -}}{{- end -}}
{{- end -}}
{{- if not (has "ALL" (ternary $capabilities.drop list (kindIs "slice" $capabilities.drop))) -}}
{{- $restricted = append $restricted "securityContext.capabilities.drop" -}}
{{- end -}}
{{- if ne (toString $container.allowPrivilegeEscalation) "false" -}}
{{- $restricted = append $restricted "securityContext.allowPrivilegeEscalation" -}}
{{- end -}}
{{- if eq (toString $pod.runAsNonRoot) "false" -}}{{- $restricted = append $restricted "podSecurityContext.runAsNonRoot" -}}{{- end -}}
{{- $own := not (kindIs "invalid" $container.runAsNonRoot) -}}
{{- if ne (toString (ternary $container.runAsNonRoot $pod.runAsNonRoot $own)) "true" -}}
{{- $restricted = append $restricted (ternary "securityContext.runAsNonRoot" "podSecurityContext.runAsNonRoot" $own) -}}
{{- end -}}
{{- range $name, $context := dict "securityContext" $container "podSecurityContext" $pod -}}
{{- if not (kindIs "invalid" $context.runAsUser) -}}
{{- if eq (include "nimbus-control-plane.number" $context.runAsUser) "0" -}}
{{- $restricted = append $restricted (printf "%s.runAsUser" $name) -}}
{{- end -}}
{{- end -}}
{{- range $field := list "seccompProfile" "appArmorProfile" -}}
{{- $profile := index $context $field -}}
{{- if kindIs "map" $profile -}}
{{- if eq (toString $profile.type) "Unconfined" -}}{{- $baseline = append $baseline (printf "%s.%s" $name $field) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or $container.seccompProfile $pod.seccompProfile) -}}
{{- $restricted = append $restricted "podSecurityContext.seccompProfile" -}}
{{- end -}}
{{- $all := concat $baseline $restricted -}}
{{- $found := dict -}}
{{- with $baseline -}}{{- $_ := set $found "baseline" (first .) -}}{{- end -}}
{{- with $all -}}{{- $_ := set $found "restricted" (first .) -}}{{- end -}}
{{- toYaml $found -}}
{{- end -}}
