{{- /* Which values Pod Security refuses, by the Pod Security Standards of Kubernetes 1.25 and later. */ -}}

{{- /*
Judges the release's `namespace`, as the cluster has it. Helm would say that the release is deployed, and no pod would ever be made. A
level that it cannot read the API server takes for `restricted`, a version that it cannot read for its own release.
*/ -}}
{{- define "nimbus-agent.check.enforced" -}}
{{- $labels := dig "metadata" "labels" dict .namespace -}}
{{- $said := toString (get $labels "pod-security.kubernetes.io/enforce") -}}
{{- $enforced := ternary $said "restricted" (has $said (list "privileged" "baseline")) -}}
{{- $version := toString (get $labels "pod-security.kubernetes.io/enforce-version") -}}
{{- $minor := int (regexFind "^[0-9]+" .root.Capabilities.KubeVersion.Minor) -}}
{{- /* What has more digits is a release that is newer than any. */ -}}
{{- if regexMatch "^v1[.](0|[1-9][0-9]{0,8})$" $version -}}{{- $minor = min $minor (int (trimPrefix "v1." $version)) -}}
{{- else -}}{{- $version = "latest" -}}{{- end -}}
{{- if hasKey $labels "pod-security.kubernetes.io/enforce" -}}
{{- with index (include "nimbus-agent.refusedBy" (dict "root" .root "minor" $minor) | fromYaml) $enforced -}}
{{- $taken := ternary "" " as restricted" (eq $said $enforced) -}}
{{- include "nimbus-agent.wrong" (list . "nothing that Pod Security refuses in the namespace of the release"
  (printf "%s, which enforces %s%s of %s" (quote $.root.Release.Namespace) (quote $said) $taken $version)
  "leave it out, or install into a namespace of its own whose label takes it, first: kubectl create namespace NAME; kubectl label namespace NAME pod-security.kubernetes.io/enforce=baseline, or =privileged where that is not enough") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
As YAML: for `baseline` and `restricted` the first value that a namespace which enforces that level refuses, by the rules of the `minor`
release; nothing where it takes the pods. What the chart itself renders is taken by both. Releases loosened sysctls and types of SELinux.
*/ -}}
{{- define "nimbus-agent.refusedBy" -}}
{{- $minor := .minor -}}
{{- $baseline := list -}}
{{- $restricted := list -}}
{{- with include "nimbus-agent.ofTheNode" $.root -}}{{- $baseline = append $baseline . -}}{{- end -}}
{{- range $.root.Values.extraVolumes -}}
{{- if .hostPath -}}{{- $baseline = append $baseline "extraVolumes" -}}{{- end -}}
{{- $taken := list "name" "configMap" "csi" "downwardAPI" "emptyDir" "ephemeral" "image" "persistentVolumeClaim" "projected" "secret" -}}
{{- range $kind, $source := . -}}
{{- if not (or (kindIs "invalid" $source) (has $kind $taken)) -}}{{- $restricted = append $restricted "extraVolumes" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $container := default dict $.root.Values.securityContext -}}
{{- $pod := default dict $.root.Values.podSecurityContext -}}
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
{{- $sysctls := list "kernel.shm_rmid_forced" "net.ipv4.ip_local_port_range" "net.ipv4.ip_unprivileged_port_start"
  "net.ipv4.ping_group_range" "net.ipv4.tcp_syncookies" -}}
{{- if ge $minor 27 -}}{{- $sysctls = append $sysctls "net.ipv4.ip_local_reserved_ports" -}}{{- end -}}
{{- if ge $minor 29 -}}{{- $sysctls = concat $sysctls (list "net.ipv4.tcp_fin_timeout" "net.ipv4.tcp_keepalive_intvl"
  "net.ipv4.tcp_keepalive_probes" "net.ipv4.tcp_keepalive_time") -}}{{- end -}}
{{- if ge $minor 32 -}}{{- $sysctls = concat $sysctls (list "net.ipv4.tcp_rmem" "net.ipv4.tcp_wmem") -}}{{- end -}}
{{- if ge $minor 37 -}}{{- $sysctls = concat $sysctls (list "net.ipv4.tcp_notsent_lowat" "net.ipv4.tcp_slow_start_after_idle") -}}{{- end -}}
{{- $types := list "" "container_t" "container_init_t" "container_kvm_t" -}}
{{- if ge $minor 31 -}}{{- $types = append $types "container_engine_t" -}}{{- end -}}
{{- range ternary $pod.sysctls list (kindIs "slice" $pod.sysctls) -}}
{{- if not (and (kindIs "map" .) (has (index (ternary . dict (kindIs "map" .)) "name") $sysctls)) -}}{{- $baseline = append $baseline "podSecurityContext.sysctls" -}}{{- end -}}
{{- end -}}
{{- range $annotation, $profile := $.root.Values.podAnnotations -}}
{{- if hasPrefix "container.apparmor.security.beta.kubernetes.io/" $annotation -}}
{{- if not (or (has (toString $profile) (list "" "runtime/default")) (hasPrefix "localhost/" (toString $profile))) -}}
{{- $baseline = append $baseline "podAnnotations" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $context := dict "securityContext" $container "podSecurityContext" $pod -}}
{{- if not (kindIs "invalid" $context.runAsUser) -}}
{{- if eq (include "nimbus-agent.number" $context.runAsUser) "0" -}}
{{- $restricted = append $restricted (printf "%s.runAsUser" $name) -}}
{{- end -}}
{{- end -}}
{{- $windows := ternary $context.windowsOptions dict (kindIs "map" $context.windowsOptions) -}}
{{- if eq (toString $windows.hostProcess) "true" -}}{{- $baseline = append $baseline (printf "%s.windowsOptions" $name) -}}{{- end -}}
{{- $selinux := ternary $context.seLinuxOptions dict (kindIs "map" $context.seLinuxOptions) -}}
{{- $type := toString (default "" $selinux.type) -}}
{{- if or $selinux.user $selinux.role (not (has $type $types)) -}}
{{- $baseline = append $baseline (printf "%s.seLinuxOptions" $name) -}}
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
