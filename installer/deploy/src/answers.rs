//! Answers that were checked: everything that a plan is made from.

/// How a Service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From inside the cluster, or by a forwarded port.
    ClusterIp,
    /// By a port of every node.
    NodePort,
    /// By a load balancer of its own.
    LoadBalancer,
}

impl Reach {
    /// Kubernetes' word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Where the history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// SQLite on a volume.
    Sqlite {
        /// Its storage class; empty: the default one.
        storage_class: String,
        /// Its size.
        size: String,
    },
    /// PostgreSQL whose address is in a Secret that a person made.
    Secret(String),
    /// PostgreSQL that Terraform makes.
    Terraform(Network),
}

/// Where Terraform's database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The network of the cluster.
    pub network: String,
    /// The database's range in it.
    pub cidr: String,
    /// From where it may be reached; none where the peering decides (GCP).
    pub clients: Option<String>,
}

/// The certificate that operators see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// Of the control plane's own CA.
    Own,
    /// Of a Secret.
    Secret(String),
    /// Of cert-manager.
    CertManager {
        /// The issuer's name.
        issuer: String,
        /// `Issuer` or `ClusterIssuer`.
        kind: String,
    },
}

/// Whose cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// Amazon's.
    Aws,
    /// Google's.
    Gcp {
        /// The project.
        project: String,
    },
    /// Microsoft's.
    Azure {
        /// The resource group of the network.
        resource_group: String,
    },
}

/// The program that applies Terraform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// OpenTofu.
    Tofu,
    /// Terraform.
    Terraform,
}

/// The cloud around the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// Whose.
    pub provider: Provider,
    /// The region.
    pub region: String,
    /// The zone of the DNS names; none: no records.
    pub dns_zone: Option<String>,
    /// Whether a bucket for backups is made.
    pub backups: bool,
    /// What applies it.
    pub tool: Tool,
}

/// A Service and the name that outside callers use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// How it is reached.
    pub reach: Reach,
    /// The DNS name.
    pub name: Option<String>,
}

/// What the agents may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acting {
    /// Which actions.
    pub actions: Vec<String>,
    /// Where.
    pub namespaces: Vec<String>,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The beginning of every name.
    pub name: String,
    /// The kubeconfig's context; none: its current one.
    pub kube_context: Option<String>,
    /// Of the control plane.
    pub namespace: String,
    /// Of the images.
    pub registry: String,
    /// Of the images; none: the charts' own.
    pub tag: Option<String>,
    /// Control planes.
    pub replicas: u32,
    /// Where the history is kept.
    pub database: Database,
    /// For operators.
    pub operators: Entrance,
    /// For agents elsewhere.
    pub agents: Entrance,
    /// Of the agents of this cluster.
    pub agents_namespace: String,
    /// What operators see.
    pub certificate: Certificate,
    /// What the agents may do.
    pub acting: Acting,
    /// What is around the cluster.
    pub cloud: Option<Cloud>,
    /// A person's further values.
    pub control_plane_values: Option<String>,
    /// A person's further values.
    pub agent_values: Option<String>,
}

impl Answers {
    /// The release of the control plane, its StatefulSet and its Service.
    pub fn control_plane(&self) -> String {
        format!("{}-control-plane", self.name)
    }

    /// The release of the agents and their DaemonSet.
    pub fn agent(&self) -> String {
        format!("{}-agent", self.name)
    }

    /// The Secret with the keys.
    pub fn keys_secret(&self) -> String {
        format!("{}-keys", self.name)
    }

    /// The Secret with the join token.
    pub fn join_secret(&self) -> String {
        format!("{}-join", self.name)
    }

    /// The Secret with the database's address; none on SQLite.
    pub fn database_secret(&self) -> Option<String> {
        match &self.database {
            Database::Sqlite { .. } => None,
            Database::Secret(name) => Some(name.clone()),
            Database::Terraform(_) => Some(format!("{}-database", self.name)),
        }
    }

    /// The name by which this command calls the control plane from outside; none: by a forwarded port.
    pub fn direct_name(&self) -> Option<&str> {
        match self.operators.reach {
            Reach::LoadBalancer => self.operators.name.as_deref(),
            Reach::ClusterIp | Reach::NodePort => None,
        }
    }

    /// What an installation is known by: another one needs another directory.
    pub fn identity(&self) -> String {
        let context = self.kube_context.as_deref().unwrap_or("(current)");
        format!("{} in {} and {}, context {context}", self.name, self.namespace, self.agents_namespace)
    }
}
