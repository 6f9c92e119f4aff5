// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// What the program says of itself, and of arguments that it cannot carry out.
@Suite(.tags(.integration), .untilHung)
struct CommandLineTests {
    static let commands = [
        "register", "forward", "proxy", "services", "nodes", "drain", "weight", "undo", "check-etcd",
    ]

    @Test func versionNamesTheCommit() async throws {
        try await withStage { stage in
            let outcome = try await stage.runLegation(["--version"])
            #expect(outcome.succeeded)
            #expect(outcome.output.contains(/[0-9]+\.[0-9]+\.[0-9]+.*\b[0-9a-f]{7,40}\b/), "\(outcome.output)")
        }
    }

    @Test func helpNamesEveryCommand() async throws {
        try await withStage { stage in
            for arguments in [["--help"], []] {
                let outcome = try await stage.runLegation(arguments)
                for command in Self.commands {
                    #expect((outcome.output + outcome.errors).contains(command), "\(outcome)")
                }
            }
        }
    }

    /// Synopsis, a paragraph, every flag with environment name, default and unit, two examples.
    @Test(arguments: commands)
    func helpIsComplete(command: String) async throws {
        try await withStage { stage in
            let outcome = try await stage.runLegation([command, "--help"])
            #expect(outcome.succeeded)
            let help = outcome.output
            #expect(help.contains("legation \(command) ["), "synopsis in:\n\(help)")
            #expect(HelpText(help).examples.count >= 2, "examples in:\n\(help)")
            #expect(help.split(separator: "\n").allSatisfy { $0.count <= 100 })
            for (flag, text) in HelpText(help).flags {
                let variable = "LEGATION_" + flag.uppercased().replacing("-", with: "_")
                #expect(text.contains(variable), "environment name of --\(flag): \(text)")
                #expect(text.contains("default"), "default of --\(flag): \(text)")
            }
            #expect(HelpText(help).flags.keys.contains("log-level"))
        }
    }

    /// Arguments, and what a complaint has to name: key, value, a part of the allowed form.
    private static let wrong: [(arguments: [String], environment: [String: String], says: [String])] = [
        (["register", "web"], [:], ["--address", "HOST:PORT"]),
        (["register", "--address", "10.0.0.1:80"], [:], ["SERVICE"]),
        (["register", "--address", "10.0.0.1", "web"], [:], ["--address", "10.0.0.1", "HOST:PORT"]),
        (["register", "--address", "10.0.0.1:99999", "web"], [:], ["--address", "10.0.0.1:99999"]),
        (["register", "--address", "127.0.0.1:80", "web"], [:], ["127.0.0.1", "--allow-loopback", "--advertise"]),
        (["register", "--address", "10.0.0.1:80", "no good"], [:], ["SERVICE", "no good", "[A-Za-z0-9._-]"]),
        (["register", "--address", "10.0.0.1:80", "--ttl", "4s", "web"], [:], ["--ttl", "4s", "5s", "3600s"]),
        (["register", "--address", "10.0.0.1:80", "--ttl", "1d", "web"], [:], ["--ttl", "1d"]),
        (["register", "--address", "10.0.0.1:80", "web", "x"], [:], ["KEY=VALUE", "x"]),
        (["register", "--address", "10.0.0.1:80", "web", "weight=1001"], [:], ["weight", "1001"]),
        (["register", "--address", "10.0.0.1:80", "--prefix", "services", "web"], [:], ["--prefix", "services", "/"]),
        (["register", "redis", "6379"], [:], ["SERVICE", "CONTAINER PORT SERVICE", "--address"]),
        (["register", "redis", "0", "redis-A"], [:], ["PORT", "'0'", "1-65535"]),
        (["register", "redis", "6379/sctp", "redis-A"], [:], ["PORT", "6379/sctp", "/udp"]),
        (["register", "-redis", "6379", "redis-A"], [:], ["-redis"]),
        (["register", "re dis", "6379", "redis-A"], [:], ["CONTAINER", "re dis", "A-Z"]),
        (["register", "redis", "6379", "no good"], [:], ["SERVICE", "no good"]),
        (["register", "--docker", "ssh://a", "redis", "6379", "redis-A"], [:], ["--docker", "ssh://a", "unix:///"]),
        (
            ["register", "redis", "6379", "redis-A"], ["DOCKER_HOST": "npipe://a"],
            ["DOCKER_HOST", "npipe://a", "tcp://"]
        ),
        (["register", "--address", "10.0.0.1:80", "web"], ["LEGATION_TTL": "4s"], ["LEGATION_TTL", "4s", "5s"]),
        (["forward"], [:], ["TARGET", "HOST:PORT"]),
        (["forward", "10.0.0.1"], [:], ["TARGET", "10.0.0.1", "HOST:PORT"]),
        (["forward", "10.0.0.1:0"], [:], ["TARGET", "10.0.0.1:0"]),
        (["forward", "::1:80"], [:], ["TARGET", "::1:80", "brackets"]),
        (["forward", "--listen", "nowhere", "10.0.0.1:80"], [:], ["--listen", "nowhere", "PORT"]),
        (["forward", "--workers", "0", "10.0.0.1:80"], [:], ["--workers", "'0'", "256"]),
        (["forward", "10.0.0.1:80"], ["LEGATION_LISTEN": "70000"], ["LEGATION_LISTEN", "70000"]),
        (["proxy"], [:], ["SERVICE", "PORT"]),
        (["proxy", "web"], [:], ["SERVICE:PORT", "web"]),
        (["proxy", "web", "99999"], [:], ["99999", "PORT"]),
        (["proxy", "web:80", "pg:80"], [:], ["pg:80", "once"]),
        (["proxy", "--bind", "10.0.0.1:80", "web:80"], [:], ["--bind", "10.0.0.1:80"]),
        (["proxy", "--balance", "best", "web:80"], [:], ["--balance", "best", "round-robin"]),
        (["proxy", "--hold", "-1s", "web:80"], [:], ["--hold"]),
        (["proxy", "--allow-target", "10.0.0.1/33", "web:80"], [:], ["--allow-target", "10.0.0.1/33", "CIDR"]),
        (["proxy", "--etcd", "etcd:2379/v3", "web:80"], [:], ["--etcd", "etcd:2379/v3", "http"]),
        (["proxy", "web:80"], ["ETCDCTL_ENDPOINTS": "ftp://x:1"], ["ETCDCTL_ENDPOINTS", "ftp://x:1"]),
        (["proxy", "--etcd-ca", "/nowhere.pem", "web:80"], [:], ["--etcd-ca", "/nowhere.pem"]),
        (["proxy", "--etcd-cert", "/dev/null", "web:80"], [:], ["--etcd-key"]),
        (["nodes", "--etcd-user", "alice"], [:], ["--etcd-password-file", "missing"]),
        (["nodes", "--etcd-user", "alice:s3cret"], [:], ["--etcd-user", "alice:…", "the password goes into a file"]),
        (["nodes"], ["LEGATION_ETCD_USER": "alice:s3cret"], ["LEGATION_ETCD_USER", "the password goes into a file"]),
        (["nodes", "--etcd-password-file", "/etc/hostname"], [:], ["--etcd-user", "missing"]),
        (
            ["proxy", "--require-tls", "--etcd", "http://10.0.0.1:2379", "web:80"], [:],
            ["http://10.0.0.1", "https://"]
        ),
        (["services", "a", "b"], [:], ["SERVICE"]),
        (["services", "--log-level", "loud"], [:], ["--log-level", "loud", "info"]),
        (["nodes", "hostA"], [:], ["hostA"]),
        (["check-etcd", "--wrote"], [:], ["--wrote"]),
        (["no-such-command"], [:], ["no-such-command"]),
    ]

    @Test func wrongInputExits64AndSaysKeyValueAndAllowedForm() async throws {
        try await withStage { stage in
            for (arguments, environment, says) in Self.wrong {
                let outcome = try await stage.runLegation(arguments, environment: environment)
                #expect(outcome.status == .code(64), "\(environment) \(outcome)")
                for word in says { #expect(outcome.errors.contains(word), "\(word) in \(environment) \(outcome)") }
                #expect(outcome.output.isEmpty, "a complaint goes to standard error: \(outcome)")
                #expect(!outcome.errors.contains("s3cret"), "a password is never repeated: \(outcome)")
            }
        }
    }

    /// The variables that Docker sets for a link, or a service, called `legation` (or `etcd`) mean nothing to us.
    @Test func variablesOfADockerLinkCalledLegationAreIgnored() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let port = "tcp://172.17.0.5:6379"
            let environment = [
                "LEGATION_NAME": "/web/legation", "LEGATION_PORT": port, "LEGATION_PORT_6379_TCP": port,
                "LEGATION_PORT_6379_TCP_ADDR": "172.17.0.5", "LEGATION_ENV_PATH": "/bin",
            ]
            let outcome = try await stage.runLegation(["services"] + etcd.arguments, environment: environment)
            #expect(outcome.succeeded && outcome.errors.isEmpty, "\(outcome)")
        }
    }
}

/// The parts of a help text.
struct HelpText {
    /// Command lines under `Examples:`.
    let examples: [String]
    /// What stands beside each flag, by the flag's name without dashes.
    let flags: [String: String]

    init(_ help: String) {
        let lines = help.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let start = lines.firstIndex { $0.trimmed.lowercased() == "examples:" }
        examples = start.map { lines[($0 + 1)...].map(\.trimmed).prefix { $0.hasPrefix("legation ") }.map { $0 } } ?? []
        var flags: [String: String] = [:]
        var current: String?
        for line in lines[(lines.firstIndex { $0.hasPrefix("OPTIONS:") } ?? lines.endIndex)...] {
            if let match = line.prefixMatch(of: /\s{2}(?:-\w, )?--([a-z-]+)/) {
                current = String(match.1)
                // These two are the parser's own.
                if current == "help" || current == "version" { current = nil }
            }
            if let current { flags[current, default: ""] += line.trimmed + " " }
        }
        self.flags = flags
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
