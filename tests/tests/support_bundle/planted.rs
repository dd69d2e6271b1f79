//! A hundred secrets, each of its own kind or in a place of its own, and what is planted of them where.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The secrets that were planted.
#[derive(Default)]
pub struct Planted {
    /// Each as it is.
    pub secrets: Vec<String>,
}

impl Planted {
    /// A new one: made up, unlike any other, and of no form that tells by itself.
    fn word(&mut self) -> String {
        let number = self.secrets.len();
        let word = format!("Kx{number:03}mQ7v{}z", number * 7_919 % 9_973);
        self.secrets.push(word.clone());
        word
    }

    /// A new one of a form of its own: `begin` and so many more letters and digits.
    fn form(&mut self, begin: &str, length: usize) -> String {
        let number = self.secrets.len();
        let letters = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0z".chars().cycle().skip(number % 31).take(length);
        let word = format!("{begin}{}", letters.collect::<String>());
        self.secrets.push(word.clone());
        word
    }

    /// Lines of a log, each with one.
    pub fn log(&mut self) -> Vec<String> {
        let mut lines: Vec<String> = [
            "INFO login failed password=§ user=ops",
            "sent Authorization: Bearer §",
            "connecting to postgres://app:§@db.example/app",
            "cache redis://:§@cache.example:6379/0 is away",
            "cloning https://ci:§@git.example/x.git",
            "request failed, X-Api-Key: §",
            "exec /app/serve --db-password § --port 80",
            "exec /app/serve --token=§",
            "Set-Cookie: sid=§; Path=/; HttpOnly",
            "Cookie: session=§; theme=dark",
            r#"body {\"user\":\"ops\",\"password\":\"§\"}"#,
            r#"{"level":"info","client_secret":"§","msg":"started"}"#,
            "mysql -u root -p§ app",
            "sshpass -p § ssh ops@10.0.0.1",
            "PGPASSWORD=§ pg_dump app",
            "ALTER ROLE app PASSWORD '§'",
            "jdbc:postgresql://db/app?user=app&password=§",
            "machine git.example login me password §",
            "posting to https://hooks.slack.com/services/T00AAA/B00BBB/§",
            "curl -u ops:§ https://x.example",
            "retrying with api_key=§",
            "secret_key: §",
            "--client-secret=§ was given",
            "bound to ldap://admin:§@ldap.example",
            "publishing to amqp://svc:§@mq.example/",
            "AccountName=x;AccountKey=§;EndpointSuffix=core.example",
            "x-auth-token: §",
            "passphrase=§",
            "bind_password: §",
            "refresh_token=§ is too old",
            "webhook_secret=§",
            "signing_key=§",
            "encryption_key=§",
            "access_token=§",
            "Proxy-Authorization: Bearer §",
            "redis-cli -h cache -a § ping",
            "docker login -u ci -p § registry.example",
            "kubectl create secret generic db --from-literal=pw=§",
            "echo § | sudo -S reboot",
            "htpasswd -bc users ops §",
            "the root password is §",
            "requirepass §",
            "client_secret = '''§'''",
            "# client_secret = '''§'''",
            r#"password = """§""""#,
            "password = '''\n§'''",
            r#"Authorization: Digest username="joe", realm="r", response="§""#,
            r#"Proxy-Authorization: Digest username="joe", realm="r", response="§""#,
            "password: &a §",
            r#"password: !!str "§""#,
            "password[0]=§",
            "USER     PASSWORD      HOST\njoe      §   b.example",
            "<password><![CDATA[§]]></password>",
            "? password\n: §",
            "password|§",
            "ftp -u joe,§ h",
        ]
        .iter()
        .map(|line| self.fill(line))
        .collect();
        for (begin, length) in [
            ("ghp_", 36),
            ("glpat-", 20),
            ("xoxb-", 30),
            ("sk_live_", 24),
            ("hvs.", 24),
            ("npm_", 36),
            ("nbo_", 43),
            ("nimbus1.tok_019b5c2d3e477f6a8b9c0d1e2f3a4b5c.", 43),
        ] {
            lines.push(format!("the call with {} was refused", self.form(begin, length)));
        }
        let aws = format!("AKIAEXAMPLE{:09}", self.secrets.len());
        let age = format!("AGE-SECRET-KEY-1EXAMPLE{:05}QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ", self.secrets.len());
        let body = self.form("MHcCAQEEI", 55);
        lines.push(format!("key {aws} is out of date"));
        lines.push(format!("identity {age}"));
        lines.push(format!("-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----"));
        let claims = URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"{}\"}}", self.secrets.len()));
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{claims}.c2lnbmF0dXJlLW9mLWl0");
        lines.push(format!("with {token} as the session"));
        self.secrets.extend([aws, age, token]);
        let basic = STANDARD.encode(format!("ops:{}", self.word()));
        lines.push(format!("sent authorization: Basic {basic}"));
        self.secrets.push(basic);
        lines
    }

    /// Files of a ConfigMap, each with some.
    pub fn files(&mut self) -> Value {
        json!({
            "password": self.word(),
            "DB_PASSWORD": self.word(),
            "db.password": self.word(),
            "api-key": self.word(),
            "client_secret": self.fill("§\n§\n"),
            "app.toml": self.fill("[db]\nhost = \"db\"\npassword = \"§\"\napi_key = '§'\ntoken = '''\n§\n'''\n"),
            "app.yaml": self.fill("db:\n  host: db\n  password: &a §\nprivate_key: |\n  §\n  §\nport: 80\n"),
            "app.json": json!({"smtp": {"user": "ops", "password": self.word()}, "encrypt_key": self.word()}).to_string(),
            "app.env": self.fill("PORT=80\nDB_PASSWORD=§\nexport API_TOKEN=§\nDATABASE_URL=mysql://a:§@db/x\n"),
            "users.csv": self.fill("name,role,password\nops,admin,§\nbob,user,§\n"),
            "nginx.conf": self.fill("server {\n  proxy_set_header Authorization \"Bearer §\";\n}\n"),
            "redis.conf": self.fill("port 6379\nrequirepass §\n"),
            "values.xml": self.fill("<add key=\"DbPassword\" value=\"§\"/>\n<password>§</password>\n<password><![CDATA[§]]></password>\n"),
            "coded": STANDARD.encode(self.fill("user=ops\npassword=§\n")),
        })
    }

    /// The variables of a container.
    pub fn variables(&mut self) -> Value {
        let names = [
            "DB_PASSWORD",
            "API_KEY",
            "SESSION_SECRET",
            "GITHUB_TOKEN",
            "SMTP_PASS",
            "clientSecret",
            "AWS_SECRET_ACCESS_KEY",
            "JWT_SIGNING_KEY",
            "REDIS_AUTH",
            "ENCRYPTION_KEY",
        ];
        let mut variables: Vec<Value> =
            names.iter().map(|name| json!({"name": name, "value": self.word()})).collect();
        variables.push(json!({"name": "DATABASE_URL", "value": self.fill("postgres://app:§@db/app")}));
        variables.push(json!({"name": "MULTI_SECRET", "value": self.fill("§\n§\n")}));
        variables.push(json!({"name": "LOG_LEVEL", "value": "debug"}));
        variables.push(json!({"name": "JAVA_OPTS", "value": self.fill("-Xmx1g -Ddb.password=§ -Dx=1")}));
        Value::Array(variables)
    }

    /// The arguments of a container.
    pub fn arguments(&mut self) -> Value {
        json!([
            "--port",
            "8080",
            "--db-password",
            self.word(),
            self.fill("--api-token=§"),
            self.fill("--url=https://u:§@x.example"),
            "-u",
            "joe",
            "-p",
            self.word()
        ])
    }

    /// Annotations, one of which holds an object as it was applied.
    pub fn annotations(&mut self) -> Value {
        let applied = json!({
            "kind": "Pod",
            "spec": {"containers": [{"env": [{"name": "OLD_PASSWORD", "value": self.word()}], "args": ["--token", self.word()]}]},
        });
        json!({
            "kubectl.kubernetes.io/last-applied-configuration": applied.to_string(),
            "example.com/webhook-secret": self.word(),
            "example.com/note": self.fill("the root password is §"),
        })
    }

    /// The values of a Secret, and as many in plain text.
    pub fn values(&mut self) -> (Value, Value) {
        let coded = |word: String| STANDARD.encode(word);
        let data = json!({"user-password": coded(self.word()), "token": coded(self.word()), "a": coded(self.word())});
        (data, json!({"b": self.word(), "config": self.fill("x: 1\npassword: §\n")}))
    }

    /// Messages of events.
    pub fn messages(&mut self) -> Vec<String> {
        let messages = [
            "Failed to pull image: unauthorized: password=§",
            "Liveness probe failed: Get \"http://probe:§@10.0.0.9:80/\"",
            "MountVolume.SetUp failed: mount -o username=ops,password=§ //nas/x",
            "hook said: Authorization: Bearer §",
        ];
        messages.iter().map(|message| self.fill(message)).collect()
    }

    /// A sentence of an operator.
    pub fn reason(&mut self) -> String {
        self.fill("not now: the new password=§ is not in it yet")
    }

    /// The text with a new secret for each `§`.
    fn fill(&mut self, text: &str) -> String {
        let mut parts = text.split('§');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            filled.push_str(&self.word());
            filled.push_str(part);
        }
        filled
    }
}
