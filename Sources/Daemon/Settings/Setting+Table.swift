// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Discovery
private import Docker
private import Etcd
private import Registry
private import Registration
private import Relay
private import ServiceModel

extension Setting {
    /// Every flag there is, in the order of the help. Names never meet those that Docker sets for a link called
    /// `legation` (`LEGATION_PORT*`, `LEGATION_NAME`, `LEGATION_ENV_*`).
    package static let table: [Setting] =
        register + labels + listeners + selecting + relaying + output + overrides + etcd + everywhere

    package static func named(_ name: SettingName) -> Setting {
        guard let setting = byName[name] else { preconditionFailure("no row for --\(name.rawValue)") }
        return setting
    }

    package static func all(of command: CommandName) -> [Setting] { table.filter { $0.commands.contains(command) } }

    private static let byName = Dictionary(uniqueKeysWithValues: table.map { ($0.name, $0) })

    private static let register: [Setting] = [
        Setting(
            .address, .value("HOST:PORT"), unit: "address and port",
            default: "none: a container is named instead, or --labels",
            allowed: "HOST:PORT with an IPv4 address or an IPv6 address in brackets, port 1-65535",
            "Where the service accepts connections; for 0.0.0.0 and [::] see --advertise.",
            commands: [.register]),
        Setting(
            .docker, .value("URL"), unit: "URL",
            default: "unix:///var/run/docker.sock, where there is none $XDG_RUNTIME_DIR/docker.sock",
            allowed: DockerAddress.allowedForm, "Where the Docker Engine is that runs the containers.",
            commands: [.register], otherVariables: ["DOCKER_HOST"]),
        Setting(
            .ttl, .value("DURATION"), unit: "seconds", default: "10s",
            allowed: "5s to 3600s; \(DurationText.allowedForm)",
            "How long the registration outlives a registrator that died.", commands: [.register]),
        Setting(
            .drainTime, .value("DURATION"), unit: "seconds", default: "1s",
            allowed: "0s to 3600s; \(DurationText.allowedForm)",
            "How long the registration says 'draining' before it is deleted at the end.", commands: [.register]),
        Setting(
            .onExit, .value("POLICY"), unit: "policy", default: ExitPolicy.deregister.rawValue,
            allowed: ExitPolicy.allCases.map(\.rawValue).joined(separator: " or "),
            "Whether the registration is taken back at the end, or kept for --ttl for whoever is started next.",
            commands: [.register]),
        Setting(
            .node, .value("NAME"), unit: "name", default: "the host name; in a container, the published address",
            allowed: "[A-Za-z0-9._:-]+, at most 100 bytes", "What this host is called in the registry.",
            commands: [.register, .proxy, .services]),
        Setting(
            .zone, .value("NAME"), unit: "name", default: "none", allowed: "[A-Za-z0-9._:-]+, at most 100 bytes",
            "The zone that this host is in, for those who prefer what is near.",
            commands: [.register, .proxy, .services]),
        Setting(
            .instance, .value("NAME"), unit: "name", default: "NODE:CONTAINER:PORT, with --address NODE:HOST:PORT",
            allowed: InstanceName.allowedForm,
            "The instance's name, the last part of its key.", commands: [.register]),
        Setting(
            .advertise, .list("ADDRESS"), unit: "address",
            default: "this host's source address towards etcd",
            allowed: "an IPv4 or IPv6 address that others can reach, without brackets or port, one of each at most",
            "The address to publish for 0.0.0.0, [::] or a loopback address; may be repeated, once a family.",
            commands: [.register]),
        Setting(
            .advertiseInterface, .value("NAME"), unit: "interface", default: "none",
            allowed: "the name of a network interface of this host that has an address",
            "Publish this network interface's address in such a case.", commands: [.register]),
        Setting(
            .allowLoopback, .toggle, unit: "true or false", default: "false", allowed: "true or false",
            "Allow a loopback address to be published, which only this host can reach.", commands: [.register]),
        Setting(
            .also, .list("FORM"), unit: "form", default: "none", allowed: SecondForm.allowedForm,
            "Write each instance in this form too, for CoreDNS, gRPC or what read registrator; may be repeated.",
            commands: [.register]),
    ]

    private static let labels: [Setting] = [
        Setting(
            .labels, .toggle, unit: "true or false", default: "false", allowed: "true or false",
            "Publish what the labels of this host's containers ask for, instead of one container.",
            commands: [.register]),
        Setting(
            .compat, .value("PROGRAM"), unit: "program", default: "none",
            allowed: LabelRules.Compatibility.allCases.map(\.rawValue).joined(separator: ", ") + ", with --labels",
            "Register every published port, and read environments, as that program does.", commands: [.register]),
        Setting(
            .allowService, .list("PATTERN"), unit: "service", default: "every service",
            allowed: ServicePattern.allowedForm + ", with --labels",
            "A service that labels may claim on this host; may be repeated.", commands: [.register]),
        Setting(
            .network, .value("NAME"), unit: "network", default: "none: the host's address and port",
            allowed: "the name of a container network, [A-Za-z0-9][A-Za-z0-9_.-]*, without --address",
            "Publish the containers' own addresses on this network, with the ports inside them.",
            commands: [.register]),
    ]

    private static let listeners: [Setting] = [
        Setting(
            .listen, .value("[ADDRESS:]PORT"), unit: "address and port", default: "10000 on every address",
            allowed: "PORT, ADDRESS:PORT or [IPV6]:PORT, port 0-65535 (0: any free one), or unix:PATH",
            "Where clients connect.", commands: [.forward]),
        Setting(
            .bind, .value("ADDRESS"), unit: "address", default: "every address, IPv4 and IPv6",
            allowed: "an IPv4 or IPv6 address without port", "The address that every link of this call listens on.",
            commands: [.proxy]),
        Setting(
            .balance, .value("KIND"), unit: "kind", default: Balance.roundRobin.rawValue,
            allowed: Balance.allCases.map(\.rawValue).joined(separator: ", "),
            "How new connections are shared out over the instances.", commands: [.proxy]),
        Setting(
            .hold, .value("DURATION"), unit: "seconds", default: "60s",
            allowed: "0s to 3600s, 0 is off; \(DurationText.allowedForm)",
            "How long instances that vanish together are used on while they still accept connections.",
            commands: [.proxy]),
        Setting(
            .allowTarget, .list("RULE"), unit: "rule", default: "private networks (RFC 1918, ULA, CGNAT)",
            allowed: TargetPolicy.Rule.allowedForm,
            "More addresses that may be dialled, or the only ones for one service; may be repeated.",
            commands: [.proxy, .services]),
        Setting(
            .startEmpty, .toggle, unit: "true or false", default: "false", allowed: "true or false",
            "Listen at once, before etcd has said which instances there are; clients are reset until then.",
            commands: [.proxy]),
        Setting(
            .format, .list("FORMAT"), unit: "format", default: "auto: as each entry looks",
            allowed: EntrySource.allowedForm,
            "How the entries of a service are written, and the prefix under which they stand if it is not ours.",
            commands: [.proxy, .services]),
        Setting(
            .onLoss, .list("POLICY"), unit: "policy", default: "keep", allowed: AbsencePolicy.Loss.allowedForm,
            "What new connections to a service get when etcd is silent: who was there last, or nobody after a time.",
            commands: [.proxy]),
        Setting(
            .onEmpty, .list("POLICY"), unit: "policy", default: "refuse", allowed: AbsencePolicy.Emptiness.allowedForm,
            "What new connections get when a service has nobody left: a reset, who was there last, or another.",
            commands: [.proxy]),
    ]

    private static let selecting: [Setting] = [
        Setting(
            .resolveNames, .list("SWITCH"), unit: "on or off", default: "off", allowed: "[SERVICE=]on or off",
            "Look up hosts that entries give by name, every 30 s; what is found passes the same checks as an address.",
            commands: [.proxy, .services]),
        Setting(
            .select, .list("TRAIT"), unit: "trait", default: "every instance", allowed: Trait.allowedForm,
            "Use only instances of which this is true; may be repeated, and all must be true then.",
            commands: [.proxy, .services]),
        Setting(
            .prefer, .list("TRAIT"), unit: "trait", default: "none before others",
            allowed: "\(Trait.allowedForm); at most \(Selection.maximumPreferences) a service",
            "Use instances of which this is true before others, the first before the second if there are several.",
            commands: [.proxy, .services]),
        Setting(
            .instanceConnections, .list("COUNT"), unit: "connections", default: "as many as come",
            allowed: "[SERVICE=]COUNT, COUNT 1 to 1000000",
            "Connections that one instance may have from here; more go to the next one, or wait up to 5 s.",
            commands: [.proxy]),
        Setting(
            .drainTimeout, .list("TIMEOUT"), unit: "time", default: "never", allowed: DrainTimeout.allowedForm,
            "How long connections to an instance that has left, drains or has no weight may go on before they are reset.",
            commands: [.proxy]),
    ]

    private static let relaying: [Setting] = [
        Setting(
            .workers, .value("COUNT"), unit: "threads", default: "the cores that this process may use",
            allowed: "1 to 256", "Threads that carry traffic.", commands: [.proxy, .forward]),
        Setting(
            .maxConnections, .value("COUNT"), unit: "connections",
            default: "what the limit of descriptors allows, 100000 at most", allowed: "1 to 1000000",
            "Connections that may be open at once; further clients wait to be accepted.", commands: [.proxy, .forward]),
        Setting(
            .idleTimeout, .value("DURATION"), unit: "seconds", default: "0s: none",
            allowed: "1s to 720h, or 0s for none; \(DurationText.allowedForm)",
            "Reset a connection on which nothing has moved for so long.", commands: [.proxy, .forward]),
        Setting(
            .halfClosedTimeout, .value("DURATION"), unit: "seconds", default: "0s: none",
            allowed: "1s to 720h, or 0s for none; \(DurationText.allowedForm)",
            "The same for one of which one side has ended its direction.", commands: [.proxy, .forward]),
        Setting(
            .socketMode, .value("MODE"), unit: "octal permission bits", default: "600: this user alone",
            allowed: "three octal digits, for instance 660",
            "Who may connect to a Unix socket that is listened on.", commands: [.proxy, .forward]),
        Setting(
            .shutdownGrace, .value("DURATION"), unit: "seconds", default: "30s",
            allowed: "0s to 86400s; \(DurationText.allowedForm)",
            "How long open connections may go on after SIGTERM before they are reset.",
            commands: [.proxy, .forward]),
    ]

    private static let output: [Setting] = [
        Setting(
            .json, .toggle, unit: "true or false", default: "false", allowed: "true or false",
            "Print one JSON object instead of text.", commands: [.services, .nodes, .checkEtcd]),
        Setting(
            .watch, .toggle, unit: "true or false", default: "false", allowed: "true or false",
            "Stay, and show each change; with --json an object a line.", commands: [.services, .nodes]),
        Setting(
            .write, .toggle, unit: "true or false", default: "false", allowed: "true or false",
            "Also put a probe key under PREFIX-nodes/ and delete it.", commands: [.checkEtcd]),
    ]

    private static let overrides: [Setting] = [
        Setting(
            .lasts, .value("DURATION"), unit: "seconds", default: "until it is undone",
            allowed: "1s to 720h; \(DurationText.allowedForm)", "How long it holds.", commands: [.drain, .weight]),
        Setting(
            .by, .value("NAME"), unit: "name", default: "$SUDO_USER, else $USER, and the host name",
            allowed: "at most 100 bytes without control characters", "Who says so, for others to see.",
            commands: [.drain, .weight]),
    ]

    private static let etcd: [Setting] = [
        Setting(
            .etcd, .list("URL[,URL...]"), unit: "URL",
            default: "found by a Docker link or host named etcd, else http://127.0.0.1:2379",
            allowed: EtcdEndpoint.allowedForm, "Where etcd is, every member of it that may be asked.",
            commands: CommandName.withEtcd, otherVariables: ["ETCDCTL_ENDPOINTS"]),
        Setting(
            .etcdCA, .value("FILE"), unit: "path", default: "the system's authorities",
            allowed: "the path of a PEM file that this process can read",
            "Certificate authorities that etcd's certificate is checked against.",
            commands: CommandName.withEtcd, otherVariables: ["ETCDCTL_CACERT"]),
        Setting(
            .etcdCert, .value("FILE"), unit: "path", default: "none",
            allowed: "the path of a PEM file that this process can read, together with --etcd-key",
            "Certificate chain that etcd knows this process by.",
            commands: CommandName.withEtcd, otherVariables: ["ETCDCTL_CERT"]),
        Setting(
            .etcdKey, .value("FILE"), unit: "path", default: "none",
            allowed: "the path of a PEM file that this process can read, together with --etcd-cert",
            "Private key of that certificate.", commands: CommandName.withEtcd, otherVariables: ["ETCDCTL_KEY"]),
        Setting(
            .etcdUser, .value("NAME"), unit: "name", default: "none, or the CommonName of --etcd-cert",
            allowed: "a user's name without a colon; the password goes into a file (--etcd-password-file)",
            "User of etcd's own authentication; in ETCDCTL_USER a password may follow after a colon.",
            commands: CommandName.withEtcd, otherVariables: ["ETCDCTL_USER"]),
        Setting(
            .etcdPasswordFile, .value("FILE"), unit: "path", default: "none, or the password in ETCDCTL_PASSWORD",
            allowed: "the path of a file that this process can read, together with --etcd-user",
            "File with that user's password, read at each authentication.", commands: CommandName.withEtcd),
        Setting(
            .requireTLS, .toggle, unit: "true or false", default: "false", allowed: "true or false",
            "Refuse an etcd without TLS; one that is found is asked by https.", commands: CommandName.withEtcd),
        Setting(
            .prefix, .value("PREFIX"), unit: "key prefix", default: "/services", allowed: KeyLayout.allowedForm,
            "Where services stand in etcd.", commands: CommandName.withEtcd),
        Setting(
            .layout, .value("LAYOUT"), unit: "layout", default: KeyLayout.Order.serviceFirst.rawValue,
            allowed: KeyLayout.Order.allCases.map(\.rawValue).joined(separator: " or "),
            "What comes first in an instance's key: PREFIX/SERVICE, or PREFIX-by-node/NODE.",
            commands: CommandName.withEtcd),
    ]

    private static let everywhere: [Setting] = [
        Setting(
            .logLevel, .value("LEVEL"), unit: "level", default: "info; error for those that ask or tell once",
            allowed: "trace, debug, info, notice, warning, error or critical", "Least severe messages that are logged.",
            commands: Set(CommandName.allCases))
    ]
}
