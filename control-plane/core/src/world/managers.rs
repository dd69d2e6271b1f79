//! The names of the tools that keep objects in their desired state, as people know them.

/// The name behind the word that an agent reports; a word that is not known is its own name.
pub fn manager_name(word: &str) -> &str {
    match word {
        "argocd" => "Argo CD",
        "flux" => "Flux",
        "helm" => "Helm",
        "kapp" => "kapp",
        "terraform" => "Terraform",
        "pulumi" => "Pulumi",
        "operator" => "its owner",
        "addon-manager" => "the addon manager",
        "objectset" => "the Rancher deploy controller",
        "inventory" => "Config Sync",
        other => other,
    }
}
