// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A subcommand by its name on the command line.
package enum CommandName: String, CaseIterable, Hashable, Sendable {
    case register, forward, proxy, services, nodes, drain, weight, undo
    case checkEtcd = "check-etcd"

    /// Those that speak with etcd.
    package static let withEtcd: Set<Self> = [
        .register, .proxy, .services, .nodes, .drain, .weight, .undo, .checkEtcd,
    ]
}

/// A flag by its name without the dashes.
package enum SettingName: String, CaseIterable, Hashable, Sendable {
    case etcd
    case etcdCA = "etcd-ca"
    case etcdCert = "etcd-cert"
    case etcdKey = "etcd-key"
    case etcdUser = "etcd-user"
    case etcdPasswordFile = "etcd-password-file"
    case requireTLS = "require-tls"
    case prefix, layout
    case logLevel = "log-level"
    case address, docker, ttl
    case drainTime = "drain-time"
    case onExit = "on-exit"
    case node, zone, instance, advertise
    case advertiseInterface = "advertise-interface"
    case allowLoopback = "allow-loopback"
    case also
    case labels, compat
    case allowService = "allow-service"
    case network
    case listen, bind, balance, hold
    case allowTarget = "allow-target"
    case startEmpty = "start-empty"
    case format
    case onLoss = "on-loss"
    case onEmpty = "on-empty"
    case select, prefer
    case resolveNames = "resolve-names"
    case instanceConnections = "instance-connections"
    case drainTimeout = "drain-timeout"
    case workers
    case maxConnections = "max-connections"
    case idleTimeout = "idle-timeout"
    case halfClosedTimeout = "half-closed-timeout"
    case socketMode = "socket-mode"
    case shutdownGrace = "shutdown-grace"
    case json, watch, write
    case lasts = "for"
    case by
}

/// One row of the table of everything that can be set: how it is named, what it means, what it may be.
///
/// The command line, the environment, the help and the error messages are all made from the table (`Setting.table`).
package struct Setting: Sendable {
    package enum Kind: Hashable, Sendable {
        /// Takes one value; the text stands for it in the help.
        case value(String)
        /// May be given several times; in the environment, and behind one flag, commas separate the values.
        case list(String)
        /// Takes no value on the command line, `true` or `false` in the environment.
        case toggle
    }

    package let name: SettingName
    package let kind: Kind
    /// Of the value: `seconds`, `path`, `URL`; for a count, what is counted.
    package let unit: String
    /// As an operator would write it, or in words when it is found out at start.
    package let defaultText: String
    /// What an error message says of the allowed form.
    package let allowedForm: String
    /// One sentence with its full stop.
    package let sentence: String
    package let commands: Set<CommandName>
    /// Variables of other programs that are asked after our own, in this order.
    package let otherVariables: [String]

    package init(
        _ name: SettingName, _ kind: Kind, unit: String, default defaultText: String, allowed: String,
        _ sentence: String, commands: Set<CommandName>, otherVariables: [String] = []
    ) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.defaultText = defaultText
        self.allowedForm = allowed
        self.sentence = sentence
        self.commands = commands
        self.otherVariables = otherVariables
    }

    /// `--etcd-ca`.
    package var flag: String { "--\(name.rawValue)" }

    /// `LEGATION_ETCD_CA`.
    package var variable: String { "LEGATION_" + name.rawValue.uppercased().replacingDashes }

    package var variables: [String] { [variable] + otherVariables }

    /// A value as an error message may repeat it: passwords that were put where they do not belong are left out.
    package func shown(_ text: String) -> String {
        switch name {
        case .etcdUser: text.firstIndex(of: ":").map { "\(text[..<$0]):…" } ?? text
        case .etcd: text.lastIndex(of: "@").map { "…\(text[$0...])" } ?? text
        default: text
        }
    }

    /// What `--help` says behind the flag.
    package var help: String {
        "\(sentence) [environment: \(variables.joined(separator: ", ")); default: \(defaultText); unit: \(unit)]"
    }

    /// The flag with its value as a synopsis shows it.
    package var synopsis: String {
        switch kind {
        case .value(let placeholder), .list(let placeholder): "\(flag) \(placeholder)"
        case .toggle: flag
        }
    }
}

extension String {
    fileprivate var replacingDashes: String { String(map { $0 == "-" ? "_" : $0 }) }
}
