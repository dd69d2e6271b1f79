//! Decides whether a file looks as if it held a secret. Of such a file only hashes leave the host, never content.
//!
//! When in doubt it withholds: a configuration that mentions a password is withheld whole. Two tests are made, and either
//! is enough: the path's name (here), and the content ([`content`]).

mod account;
mod content;
mod credential;
mod entropy;
mod placeholder;

/// Whole file names that hold secrets.
const NAMES: [&str; 21] = [
    ".env",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    ".npmrc",
    ".pypirc",
    ".vault-token",
    "shadow",
    "shadow-",
    "gshadow",
    "gshadow-",
    "kubeconfig",
    "admin.conf",
    "krb5.keytab",
    "authorized_keys",
    "userlist.txt",
    ".erlang.cookie",
];
/// Endings of file names that hold secrets.
const ENDINGS: [&str; 14] = [
    ".key",
    ".pem",
    ".p12",
    ".pfx",
    ".jks",
    ".keystore",
    ".kdbx",
    ".keytab",
    ".ppk",
    ".asc",
    ".gpg",
    ".env",
    ".kubeconfig",
    ".ovpn",
];
/// Parts of any component of the path that tell secrets.
const PARTS: [&str; 11] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "credential",
    "private",
    "apikey",
    "api_key",
    "api-key",
    ".env.",
];
/// Beginnings of file names that hold secrets.
const BEGINNINGS: [&str; 4] = ["id_rsa", "id_ed25519", "id_ecdsa", "id_dsa"];
/// Directories in which every file is one.
const DIRECTORIES: [&str; 5] = [".ssh", ".gnupg", ".kube", ".aws", ".docker"];

/// Does the path's name or the content look like a secret?
pub fn looks_secret(path: &str, content: &[u8]) -> bool {
    name_looks_secret(path) || content::looks_secret(content)
}

fn name_looks_secret(path: &str) -> bool {
    let path = path.to_lowercase();
    let name = path.rsplit('/').next().unwrap_or(&path);
    NAMES.contains(&name)
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || PARTS.iter().any(|part| path.contains(part))
        || path.split('/').any(|component| DIRECTORIES.contains(&component))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_recognised() {
        for path in [
            "/etc/ssl/private/x",
            "/etc/app/tls.key",
            "/etc/app/TLS.PEM",
            "/root/.ssh/config",
            "/root/.ssh/id_rsa.bak",
            "/srv/.env",
            "/srv/.env.production",
            "/srv/prod.env",
            "/etc/shadow",
            "/home/o/.kube/config",
            "/etc/kubernetes/admin.conf",
            "/etc/app/db_password",
            "/etc/app/API-Key.txt",
            "/x/secrets/plain.txt",
            "/home/o/.netrc",
            "/home/o/.pgpass",
            "/var/tokens/a",
            "/etc/pgbouncer/userlist.txt",
            "/var/lib/rabbitmq/.erlang.cookie",
        ] {
            assert!(looks_secret(path, b""), "{path}");
        }
        for path in
            ["/etc/nginx/nginx.conf", "/etc/app/settings.toml", "/etc/hosts", "/etc/environment.d/x.conf"]
        {
            assert!(!looks_secret(path, b""), "{path}");
        }
    }
}
