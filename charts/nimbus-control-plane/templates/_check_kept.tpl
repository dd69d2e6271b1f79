{{- /*
What an upgrade must not lose: the keys, which every agent knows, the volume, and the kind of the database, SQLite or PostgreSQL. One
PostgreSQL is not told from another: its address is in a Secret. See _check.tpl.
*/ -}}

{{- /*
Asks the cluster where keys and database are; with `helm template` and --dry-run=client there is nothing to say. The claim is
asked for where the chart made it, so that whoever installs may see it. Whether there is anything to lose is asked only where
something would be refused.
*/ -}}
{{- define "nimbus-control-plane.check.kept" -}}
{{- $sets := lookup "apps/v1" "StatefulSet" .Release.Namespace "" | default dict -}}
{{- $claim := default "" .Values.persistence.existingClaim -}}
{{- $made := list -}}
{{- $stays := ternary "" (include "nimbus-control-plane.claim" .) (not (empty $claim)) -}}
{{- range $sets.items -}}
{{- if include "nimbus-control-plane.isOwn" (dict "root" $ "object" .) -}}
{{- $own := printf "%s-data" .metadata.name -}}
{{- $state := include "nimbus-control-plane.state" . | fromYaml -}}
{{- /* What the chart made and makes no more is deleted by helm. */ -}}
{{- if or (eq $claim $own) (and (eq $state.claim $own) (ne $stays $own)) -}}
{{- with lookup "v1" "PersistentVolumeClaim" $.Release.Namespace $own -}}{{- $made = append $made . -}}{{- end -}}
{{- end -}}
{{- if and $claim (eq $state.claim $own) (ne $claim $own) -}}
{{- $found := lookup "v1" "PersistentVolumeClaim" $.Release.Namespace $claim | default dict -}}
{{- include "nimbus-control-plane.check.elsewhere" (dict "root" $ "claim" $found) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $there := dict -}}
{{- if include "nimbus-control-plane.check.keeps" (dict "root" . "objects" $sets.items "claim" dict "there" dict) -}}
{{- range $sets.items -}}
{{- if include "nimbus-control-plane.isOwn" (dict "root" $ "object" .) -}}
{{- $state := include "nimbus-control-plane.state" . | fromYaml -}}
{{- /* Helm keeps its releases in Secrets of this namespace, so that whoever upgrades one may read these. */ -}}
{{- with $state.secret -}}
{{- $_ := set $there (printf "secret/%s" .) (lookup "v1" "Secret" $.Release.Namespace .) -}}
{{- end -}}
{{- /* Helm asks for a claim that the chart makes, before or now. */ -}}
{{- $makes := and (not $claim) (include "nimbus-control-plane.claim" $) -}}
{{- if and $state.claim (or $makes (eq $state.claim (printf "%s-data" $state.name))) -}}
{{- $_ := set $there (printf "claim/%s" $state.claim) (lookup "v1" "PersistentVolumeClaim" $.Release.Namespace $state.claim) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "nimbus-control-plane.check.keeps" (dict "root" . "objects" $sets.items "claim" dict "there" $there) -}}
{{- range $made -}}
{{- include "nimbus-control-plane.check.keeps" (dict "root" $ "objects" list "claim" . "there" dict) -}}
{{- end -}}
{{- if and .Values.persistence.storageClass (not $claim) (include "nimbus-control-plane.claim" .) -}}
{{- $own := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (include "nimbus-control-plane.claim" .) | default dict -}}
{{- include "nimbus-control-plane.check.class" (dict "root" . "claim" $own) -}}
{{- end -}}
{{- end -}}

{{- /* The `claim` that another one is to be replaced by: what is not there has no keys. */ -}}
{{- define "nimbus-control-plane.check.elsewhere" -}}
{{- if not .claim -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.existingClaim" "a claim that is there, in the place of the one that has the keys now"
  (printf "no %s in %s" (quote .root.Values.persistence.existingClaim) .root.Release.Namespace)
  "correct it, or leave it out as before") -}}
{{- end -}}
{{- end -}}

{{- /* The `claim` that the chart makes, where it is there already: Kubernetes gives it no other class. */ -}}
{{- define "nimbus-control-plane.check.class" -}}
{{- $class := .root.Values.persistence.storageClass | eq "-" | ternary "" .root.Values.persistence.storageClass -}}
{{- $has := dig "spec" "storageClassName" "" (.claim | default dict) -}}
{{- if and .claim (ne $class $has) -}}
{{- $name := .claim.metadata.name -}}
{{- $empty := has (dig "status" "phase" "" .claim) (list "" "Pending") -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.storageClass"
  (printf "%s, the class of the volume claim %s, which is there already: Kubernetes changes it for none" (quote $has) (quote $name))
  (quote $class)
  (ternary
    (printf "it never got a volume, so delete it and give the same command again: kubectl -n %s delete pvc %s" .root.Release.Namespace $name)
    "give it as before; to move the data to another class, make a backup and restore it (docs/backup.md)" $empty)) -}}
{{- end -}}
{{- end -}}

{{- /*
The StatefulSets (`objects`), what was found of their Secrets and claims (`there`, by `secret/NAME` and `claim/NAME`) and the
`claim` that the chart made, where the values name it or it is made no more. What an upgrade that failed left beside the release's own is no reason: it is
enough that one of them has keys and database where they stay. A Secret that is not there, or has other files, has no keys, and a claim
that never got a volume no database, where no pod is ready: a first install with a wrong name is corrected. Of a pod that runs on what was
deleted beside it, keys and database are those of before.
*/ -}}
{{- define "nimbus-control-plane.check.keeps" -}}
{{- $there := .there | default dict -}}
{{- $found := list -}}
{{- $stays := false -}}
{{- range .objects -}}
{{- if include "nimbus-control-plane.isOwn" (dict "root" $.root "object" .) -}}
{{- $state := include "nimbus-control-plane.state" . | fromYaml -}}
{{- $before := or $state.secret $state.claim -}}
{{- $ready := gt (int (dig "status" "readyReplicas" 0 .)) 0 -}}
{{- $secret := printf "secret/%s" $state.secret -}}
{{- $held := get $there $secret | default dict -}}
{{- if and (not $ready) (hasKey $there $secret) (not (get (get $held "data" | default dict) "ca.key")) -}}
{{- $_ := set $state "secret" "" -}}{{- $_ := set $state "keyless" true -}}
{{- end -}}
{{- $claim := printf "claim/%s" $state.claim -}}
{{- if and (not $ready) (hasKey $there $claim) -}}
{{- /* One that lost its volume had one, which may come back. */ -}}
{{- if has (dig "status" "phase" "" (get $there $claim | default dict)) (list "" "Pending") -}}
{{- $_ := set $state "claim" "" -}}
{{- end -}}
{{- end -}}
{{- if or $state.secret $state.claim (not $before) -}}
{{- $lost := include "nimbus-control-plane.lost" (dict "root" $.root "state" $state) -}}
{{- if $lost -}}{{- $found = append $found $lost -}}{{- else -}}{{- $stays = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or $stays .root.Values.keys.moved) -}}{{- range $found | uniq -}}{{- . -}}{{- end -}}{{- end -}}
{{- if .claim -}}
{{- $kept := dig "metadata" "annotations" "helm.sh/resource-policy" "" .claim -}}
{{- $name := .claim.metadata.name -}}
{{- $values := .root.Values.persistence -}}
{{- /* Named, it is to be used; else it is let go, of which nothing has to be said where it is empty or may be lost. */ -}}
{{- $isNamed := eq $name (default "" $values.existingClaim) -}}
{{- $isEmpty := has (dig "status" "phase" "" .claim) (list "" "Pending") -}}
{{- $mayGo := and (not $isNamed) (or $isEmpty (and (not $values.enabled) $values.acceptLossOfKeys)) -}}
{{- if and (include "nimbus-control-plane.isOwn" (dict "root" .root "object" .claim)) (ne $kept "keep") (not $mayGo) -}}
{{- include "nimbus-control-plane.wrong" (list (ternary "persistence.existingClaim" "persistence" (or $isNamed (not (empty $values.existingClaim))))
  (printf "a claim that helm leaves where it is: %s was made by this release, and is deleted when the chart no longer makes it" (quote $name))
  "one without helm.sh/resource-policy: keep"
  (printf "first run: kubectl -n %s annotate pvc %s helm.sh/resource-policy=keep" .root.Release.Namespace $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
Where a StatefulSet has keys and database, as YAML: its name, the claim, the Secret with the keys, whether it has PostgreSQL, and whether that
Secret has no keys (`keyless`), which is found out later.
*/ -}}
{{- define "nimbus-control-plane.state" -}}
{{- $state := dict "name" .metadata.name "claim" "" "secret" "" "postgres" false "keyless" false -}}
{{- $pod := dig "spec" "template" "spec" dict . -}}
{{- range get $pod "volumes" -}}
{{- if eq .name "data" -}}{{- $_ := set $state "claim" (dig "persistentVolumeClaim" "claimName" "" .) -}}{{- end -}}
{{- if eq .name "keys" -}}{{- $_ := set $state "secret" (dig "secret" "secretName" "" .) -}}{{- end -}}
{{- end -}}
{{- range get $pod "containers" -}}
{{- range .env -}}
{{- if eq .name "NIMBUS_DATABASE_URL" -}}{{- $_ := set $state "postgres" true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $state -}}
{{- end -}}

{{- /*
What these values would lose of a `state`. Without claim and Secret the keys go with every pod, so that nothing is kept there.
Whoever names another claim in the place of one says what is on it; a claim takes the place of no Secret and of no PostgreSQL.
*/ -}}
{{- define "nimbus-control-plane.lost" -}}
{{- $state := .state -}}
{{- with .root -}}
{{- $elsewhere := and $state.claim (.Values.persistence.existingClaim | default $state.claim | ne $state.claim) -}}
{{- $name := include "nimbus-control-plane.fullname" . -}}
{{- $claim := include "nimbus-control-plane.claim" . -}}
{{- $secret := default "" .Values.keys.existingSecret -}}
{{- $postgres := not (empty (include "nimbus-control-plane.postgres" .)) -}}
{{- $set := printf "StatefulSet %s/%s" .Release.Namespace $state.name -}}
{{- $again := "give it as before (--reset-then-reuse-values does)" -}}
{{- $moved := "set keys.moved to true for this upgrade" -}}
{{- if and $state.claim $claim (ne $claim $state.claim) (not $elsewhere) -}}
{{- $apart := or $state.keyless (not (empty $state.secret)) -}}
{{- $holds := ternary "keys" (ternary "database" "keys and database" $apart) (and $state.postgres (not $apart)) -}}
{{- $why := ternary "a new claim is empty, and the history would be gone"
  "a new claim is empty, and every agent would have to join again" $apart -}}
{{- if ne $name $state.name -}}
{{- include "nimbus-control-plane.wrong" (list "fullnameOverride"
  (printf "the name of before, %s, whose volume claim %s has %s: %s" (quote $state.name) (quote $state.claim) $holds $why)
  (quote $name) (printf "give it and nameOverride as before, or set persistence.existingClaim to %s, too" $state.claim)) -}}
{{- else -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.existingClaim"
  (printf "%s, which has %s of the %s: %s" (quote $state.claim) $holds $set $why)
  "none" $again) -}}
{{- end -}}
{{- end -}}
{{- if and $state.secret (ne $secret $state.secret) -}}
{{- include "nimbus-control-plane.wrong" (list "keys.existingSecret"
  (printf "%s, which has the keys of the %s: agents know no others" (quote $state.secret) $set)
  (ternary (include "nimbus-control-plane.named" $secret) "none" (not (empty $secret)))
  (printf "%s; or, once the same keys are there, %s" $again $moved)) -}}
{{- else if and $secret $state.claim (not (or $state.secret $state.keyless)) -}}
{{- include "nimbus-control-plane.wrong" (list "keys.existingSecret"
  (printf "none, as the keys of the %s are on its volume claim %s: agents know no others" $set (quote $state.claim))
  (include "nimbus-control-plane.named" $secret)
  (printf "leave it out; or, once the Secret has the four files of that volume (docs/upgrade.md), %s" $moved)) -}}
{{- end -}}
{{- if and $state.postgres (not $postgres) (or $state.claim $state.secret) -}}
{{- include "nimbus-control-plane.wrong" (list "database.existingSecret"
  (printf "the address of PostgreSQL, where the history of the %s is, or database.url" $set)
  "none, which is a new SQLite" (printf "%s; or, once the history was moved (docs/backup.md), %s" $again $moved)) -}}
{{- else if and $postgres $state.claim (not $state.postgres) -}}
{{- include "nimbus-control-plane.wrong" (list "database"
  (printf "none, as the history of the %s is on its volume claim %s, in SQLite" $set (quote $state.claim))
  "PostgreSQL" (printf "leave it out; or, once the history was moved (docs/backup.md), %s" $moved)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
