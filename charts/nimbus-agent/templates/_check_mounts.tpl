{{- /* Where volumes of yours are mounted. The same in both charts; see _check.tpl. */ -}}

{{- /*
One of extraVolumeMounts, the `mount`: neither at a path of the chart's `own` ones, nor around it, nor in it, unless it is one
of the `open` ones. Most of them are read-only: the pod would not start, as no place for a mount can be made in them. And not over
one of the `programs` of the images: another one would be started, or none.
*/ -}}
{{- define "nimbus-agent.check.mountPath" -}}
{{- $values := . -}}
{{- $given := toString .mount.mountPath -}}
{{- /* As the kubelet reads it: `etc/nimbus`, `/etc//nimbus/` and `/etc/x/../nimbus` are /etc/nimbus. */ -}}
{{- $path := clean (printf "/%s" $given) -}}
{{- $expected := "" -}}
{{- if eq $path "/" -}}
{{- include "nimbus-agent.wrong" (list "extraVolumeMounts" "a mountPath below /, as the program itself is there" (quote $given)
  (printf "mount the volume %s in a directory of its own" (quote .mount.name))) -}}
{{- else if has $path .own -}}
{{- $expected = printf "other paths than those of the chart's own volumes, of which %s is one" $path -}}
{{- else -}}
{{- range .own -}}
{{- if $expected -}}
{{- else if hasPrefix (printf "%s/" $path) . -}}
{{- $expected = printf "no path around those of the chart's own volumes, of which %s is one" . -}}
{{- else if and (hasPrefix (printf "%s/" .) $path) (not (has . $values.open)) -}}
{{- $expected = printf "no path in those of the chart's own volumes, of which %s is one" . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .programs -}}
{{- if and (not $expected) (or (eq $path .) (hasPrefix (printf "%s/" $path) .) (hasPrefix (printf "%s/" .) $path)) -}}
{{- $expected = printf "no path over the program of the image, which is %s" . -}}
{{- end -}}
{{- end -}}
{{- with $expected -}}
{{- include "nimbus-agent.wrong" (list "extraVolumeMounts" . (quote $given) "mount it somewhere else") -}}
{{- end -}}
{{- end -}}

{{- /* All of extraVolumeMounts: no two at one path, and what is mounted of a volume is in it. */ -}}
{{- define "nimbus-agent.check.mounts" -}}
{{- $paths := list -}}
{{- range . -}}
{{- $path := clean (printf "/%s" (toString .mountPath)) -}}
{{- if has $path $paths -}}
{{- include "nimbus-agent.wrong" (list "extraVolumeMounts" "another path for each mount" (printf "%s twice" (quote .mountPath))
  "mount one of them somewhere else") -}}
{{- end -}}
{{- $paths = append $paths $path -}}
{{- if contains ":" (toString .mountPath) -}}
{{- include "nimbus-agent.wrong" (list "extraVolumeMounts" "a mountPath without a colon" (quote .mountPath) "mount it somewhere else") -}}
{{- end -}}
{{- range list "/proc" "/sys" "/dev" -}}
{{- if or (eq $path .) (and (ne . "/dev") (hasPrefix (printf "%s/" .) $path)) -}}
{{- include "nimbus-agent.wrong" (list "extraVolumeMounts" (printf "no path that is %s of the pod itself" .) (quote $path) "mount it somewhere else") -}}
{{- end -}}
{{- end -}}
{{- if and .subPath .subPathExpr -}}
{{- include "nimbus-agent.wrong" (list "extraVolumeMounts" (printf "for %s either a subPath or a subPathExpr" (quote $path)) "both" "leave one of them") -}}
{{- end -}}
{{- $mount := . -}}
{{- range $field := list "subPath" "subPathExpr" -}}
{{- $within := index $mount $field | default "" | toString -}}
{{- if or (hasPrefix "/" $within) (has ".." (splitList "/" $within)) -}}
{{- include "nimbus-agent.wrong" (list (printf "extraVolumeMounts.%s" $field) "a path in the volume, without a / before it and without .."
  (quote $within) "name the directory or file from the top of the volume") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Of the `objects` that the value `at` has, no two have one name: Kubernetes refuses that when half of the release is made. */ -}}
{{- define "nimbus-agent.check.twice" -}}
{{- $at := .at -}}
{{- $names := list -}}
{{- $said := list -}}
{{- range .objects -}}
{{- $name := toString .name -}}
{{- if and (has $name $names) (not (has $name $said)) -}}
{{- $said = append $said $name -}}
{{- include "nimbus-agent.wrong" (list $at "each name once" (printf "%s twice" (quote $name)) "take one of the two away") -}}
{{- end -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- end -}}

{{- /* What has a value, or a source, has one: Kubernetes refuses two, and of variables none too, when half of the release is made. */ -}}
{{- define "nimbus-agent.check.sources" -}}
{{- range .extraEnv -}}
{{- $found := list -}}
{{- with .value -}}{{- $found = append $found "value" -}}{{- end -}}
{{- $from := index . "valueFrom" -}}
{{- if kindIs "map" $from -}}
{{- $given := list -}}
{{- range $kind, $source := $from -}}{{- if not (kindIs "invalid" $source) -}}{{- $given = append $given (printf "valueFrom.%s" $kind) -}}{{- end -}}{{- end -}}
{{- $found = concat $found (default (list "an empty valueFrom") $given) -}}
{{- end -}}
{{- if or (gt (len $found) 1) (has "an empty valueFrom" $found) -}}
{{- include "nimbus-agent.wrong" (list "extraEnv" (printf "for %s a value or one source in valueFrom" (quote .name)) (join " and " $found)
  "leave one of them") -}}
{{- end -}}
{{- end -}}
{{- range .extraEnvFrom -}}
{{- $found := list -}}
{{- range $kind, $source := pick . "configMapRef" "secretRef" -}}{{- if not (kindIs "invalid" $source) -}}{{- $found = append $found $kind -}}{{- end -}}{{- end -}}
{{- if ne (len $found) 1 -}}
{{- include "nimbus-agent.wrong" (list "extraEnvFrom" "in each either a configMapRef or a secretRef" (default "neither" (join " and " $found))
  (ternary "name one of the two, or leave the entry out" "make an entry for each" (empty $found))) -}}
{{- end -}}
{{- end -}}
{{- range .extraVolumes -}}
{{- $found := list -}}
{{- range $kind, $source := omit . "name" -}}{{- if not (kindIs "invalid" $source) -}}{{- $found = append $found $kind -}}{{- end -}}{{- end -}}
{{- if gt (len $found) 1 -}}
{{- include "nimbus-agent.wrong" (list "extraVolumes" (printf "for %s one source" (quote .name)) (join " and " $found)
  "make a volume for each") -}}
{{- end -}}
{{- end -}}
{{- end -}}
