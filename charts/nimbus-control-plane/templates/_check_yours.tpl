{{- /*
Names of Secrets and other objects, and keys in them. Whoever mixes the fields up writes the secret itself there:
a pattern of the schema would print it whole, so the form is checked here, and what is no name is never shown. Which values
these are is in _check_named.tpl. The same in both charts; see _check.tpl.
*/ -}}

{{- /* Is it the name of an object, as DNS has its subdomains? "true" or nothing. */ -}}
{{- define "nimbus-control-plane.isName" -}}
{{- $label := "[a-z0-9]([-a-z0-9]*[a-z0-9])?" -}}
{{- if and (le (len .) 253) (regexMatch (printf "^%s([.]%s)*$" $label $label) .) -}}true{{- end -}}
{{- end -}}

{{- /* Is it a key of a Secret or a ConfigMap? "true" or nothing. A join token has the form of one, and is none. */ -}}
{{- define "nimbus-control-plane.isKey" -}}
{{- if and (le (len .) 253) (regexMatch "^[-._a-zA-Z0-9]+$" .) (not (regexMatch "^[.]([.]|$)|^nimbus1[.]" .)) -}}true{{- end -}}
{{- end -}}

{{- /* What was found instead of a name. */ -}}
{{- define "nimbus-control-plane.hidden" -}}
{{- printf "something else (%d characters), which is not shown" (len .) -}}
{{- end -}}

{{- /* A name or a key, where another check speaks of it. */ -}}
{{- define "nimbus-control-plane.named" -}}
{{- if or (include "nimbus-control-plane.isName" .) (include "nimbus-control-plane.isKey" .) -}}{{- quote . -}}{{- else -}}{{- include "nimbus-control-plane.hidden" . -}}{{- end -}}
{{- end -}}

{{- /* An address as it was written, unless it names a user: then there may be a password, too. Nor is a join token shown. */ -}}
{{- define "nimbus-control-plane.withoutPassword" -}}
{{- if or (contains "@" .) (contains "nimbus1." .) -}}{{- include "nimbus-control-plane.hidden" . -}}{{- else -}}{{- quote . -}}{{- end -}}
{{- end -}}

{{- /*
Values that name something, each a list of its own name, the kind of what it names, and the name: `names` of what holds
something of yours, `keys` in such, and `others`, where a fourth one says what to do.
*/ -}}
{{- define "nimbus-control-plane.check.named" -}}
{{- $form := "small letters, digits, hyphens and dots, at most 253 characters" -}}
{{- range .names -}}
{{- $name := index . 0 -}}
{{- $kind := index . 1 -}}
{{- with index . 2 -}}
{{- if not (include "nimbus-control-plane.isName" .) -}}
{{- include "nimbus-control-plane.wrong" (list $name (printf "the name of a %s: %s" $kind $form)
  (include "nimbus-control-plane.hidden" .) (printf "name the %s, and keep in it what it is to hold" $kind)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .keys -}}
{{- $name := index . 0 -}}
{{- $kind := index . 1 -}}
{{- with index . 2 -}}
{{- if not (include "nimbus-control-plane.isKey" .) -}}
{{- include "nimbus-control-plane.wrong" (list $name
  (printf "a key of a %s: letters, digits, hyphens, dots and underscores, at most 253 characters" $kind)
  (include "nimbus-control-plane.hidden" .) (printf "name the key, and keep in the %s what it is to hold" $kind)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .others -}}
{{- $other := . -}}
{{- with index . 2 -}}
{{- if not (include "nimbus-control-plane.isName" .) -}}
{{- include "nimbus-control-plane.wrong" (list (index $other 0) (printf "the name of %s: %s" (index $other 1) $form)
  (include "nimbus-control-plane.hidden" .) (index $other 3)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
