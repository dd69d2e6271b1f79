{{- /* The image, and as whom it runs. The same in both charts; see _check.tpl. */ -}}

{{- /*
An image: its `name` among the values, the `image`, the tag that it has without one (`tagged`), and where its registry is that
of another value (`inherited`), of which that is said there. What may be a password or another secret is not shown.
*/ -}}
{{- define "nimbus-agent.check.image" -}}
{{- $name := .name -}}
{{- $part := "[a-z0-9]+(([.]|__?|-+)[a-z0-9]+)*" -}}
{{- $host := "([0-9A-Za-z]([-0-9A-Za-z]*[0-9A-Za-z])?([.][0-9A-Za-z]([-0-9A-Za-z]*[0-9A-Za-z])?)*|\\[[0-9A-Fa-f:]+\\])(:[0-9]+)?" -}}
{{- with .image -}}
{{- $repository := default "" .repository -}}
{{- $own := "" -}}
{{- if not .registry -}}{{- $own = regexFind "^(localhost|[^/]*[.:][^/]*)/" $repository -}}{{- end -}}
{{- if not .repository -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.repository" $name) "the name of an image" "none"
  "set it, or leave it out for the default") -}}
{{- else if regexMatch "[@:][^/]*$" .repository -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.repository" $name) "a name without tag and digest"
  (include "nimbus-agent.withoutPassword" .repository) (printf "move what follows the name to %s.tag or %s.digest" $name $name)) -}}
{{- else if or (not (regexMatch (printf "^%s(/%s)*$" $part $part) (trimPrefix $own $repository))) (and $own (not (regexMatch (printf "^%s/$" $host) $own))) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.repository" $name)
  "a name of small letters and digits, with `.`, `_`, `-` and `/` only between them" (include "nimbus-agent.withoutPassword" .repository)
  (printf "correct it; the registry belongs in %s.registry, and no scheme anywhere" $name)) -}}
{{- end -}}
{{- if not (or .registry (eq .pullPolicy "Never") $own) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.registry" $name) "the registry that holds your copy of the image"
  "none" (printf "copy the image there and name it, or set %s.pullPolicy to Never where every node has it" $name)) -}}
{{- else if and .registry (not $.inherited) (not (regexMatch (printf "^%s(/%s)*$" $host $part) .registry)) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.registry" $name)
  "a host, with its port and a path if it has them, without a scheme and without a slash at the end"
  (include "nimbus-agent.withoutPassword" .registry) "write it as in registry.example.com:5000/mirror; who may read there belongs in a Secret of image.pullSecrets") -}}
{{- end -}}
{{- if and .digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .digest)) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.digest" $name) "sha256: and 64 hexadecimal digits"
  (include "nimbus-agent.hidden" .digest) "take it from the registry, for example with skopeo inspect --format '{{.Digest}}'") -}}
{{- end -}}
{{- $tag := default $.tagged .tag -}}
{{- if and (not .digest) (not $tag) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.tag" $name) "a tag or a digest" "neither"
  (printf "set %s.tag or %s.digest" $name $name)) -}}
{{- else if regexMatch "[:@/]" $tag -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.tag" $name) "a tag" (include "nimbus-agent.hidden" $tag)
  (printf "a digest belongs in %s.digest" $name)) -}}
{{- else if and $tag (not (regexMatch "^[0-9A-Za-z_][-.0-9A-Za-z_+]{0,127}$" $tag)) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.tag" $name)
  "a tag: letters, digits, `_`, `.` and `-`, beginning with none of the last two, at most 128 characters"
  (include "nimbus-agent.hidden" $tag)
  "name a tag that the image has in the registry") -}}
{{- end -}}
{{- range .pullSecrets -}}
{{- if not (include "nimbus-agent.isName" .) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.pullSecrets" $name)
  "names of Secrets: small letters, digits, hyphens and dots, at most 253 characters" (include "nimbus-agent.hidden" .)
  "make a Secret with kubectl create secret docker-registry, and name it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The kubelet starts no container as root where the pod or the container says that it is not. The container's own words count first. */ -}}
{{- define "nimbus-agent.check.user" -}}
{{- $found := dict -}}
{{- with .Values.securityContext -}}
{{- if and (eq (toString .privileged) "true") (eq (toString .allowPrivilegeEscalation) "false") -}}
{{- include "nimbus-agent.wrong" (list "securityContext.privileged"
  "false, as securityContext.allowPrivilegeEscalation is false: Kubernetes refuses a pod with both" "true"
  "leave it out; nothing here needs it") -}}
{{- end -}}
{{- end -}}
{{- range $field := list "runAsUser" "runAsNonRoot" -}}
{{- range $context := list "podSecurityContext" "securityContext" -}}
{{- $value := index $.Values $context $field -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $found $field (list (printf "%s.%s" $context $field) (include "nimbus-agent.number" $value)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $found.runAsUser -}}
{{- if and (eq (last .) "0") $found.runAsNonRoot -}}
{{- if eq (last $found.runAsNonRoot) "true" -}}
{{- include "nimbus-agent.wrong" (list (first .)
  (printf "another user than root, as %s is true: the kubelet would start no container" (first $found.runAsNonRoot)) "0"
  "leave it out for the image's own user") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
