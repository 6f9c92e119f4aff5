// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What `--help` says of a command beside its flags: data, so that a test can carry the examples out.
package struct CommandHelp: Sendable {
    /// Arguments only; the flags follow from the table.
    package let arguments: String
    /// What the command is, in a line.
    package let abstract: String
    package let paragraph: String
    /// Complete command lines, at least two.
    package let examples: [String]

    /// `legation proxy [FLAG...] SERVICE PORT`.
    package static func synopsis(of command: CommandName) -> String {
        help(of: command).arguments.split(separator: "\n")
            .map { "legation \(command.rawValue) [FLAG...]" + ($0 == "-" ? "" : " \($0)") }
            .joined(separator: "\n")
    }

    package static func help(of command: CommandName) -> CommandHelp {
        switch command {
        case .register: register
        case .forward: forward
        case .proxy: proxy
        case .services: services
        case .nodes: nodes
        case .drain: drain
        case .weight: weight
        case .undo: undo
        case .checkEtcd: checkEtcd
        }
    }

    /// Paragraph and examples, as they stand in the help.
    package var discussion: String {
        paragraph + "\n\nExamples:\n" + examples.map { "  \($0)" }.joined(separator: "\n")
    }

    private static let register = CommandHelp(
        arguments: "CONTAINER PORT SERVICE [KEY=VALUE...]\n--address HOST:PORT SERVICE [KEY=VALUE...]\n--labels",
        abstract: "Publish a running service in etcd for as long as this process lives.",
        paragraph: """
            Publishes where a container's port is reached on this host, and follows the container through restarts, \
            pauses and its end; with --address, where a plain process listens; with --labels, every port that the labels \
            of this host's containers ask for (legation.service=NAME). Writes one key for each under the service's name, \
            on a lease that this process keeps alive, and puts it back when it is lost. On SIGTERM the entry says 'draining', is deleted after --drain-time, and the lease is given back. \
            KEY=VALUE sets a field of the entry (weight, priority, tags, proto, container) or else its metadata.
            """,
        // No longer than 78 columns: the help wraps at 80.
        examples: [
            "legation register redis-demo.service 6379 redis-A",
            "legation register --address 10.77.0.1:6379 redis-A",
            "legation register --address 10.77.0.2:5432 --drain-time 5s pg weight=50",
            "legation register --labels",
            "legation register --labels --allow-service redis-A --network backend",
        ])

    private static let forward = CommandHelp(
        arguments: "TARGET [TARGET...]",
        abstract: "Carry TCP connections to a fixed target, or to the next one when it cannot be reached.",
        paragraph: """
            Each new connection goes to the first TARGET that accepts it, in the order given. A name is resolved at \
            start, every 30 s and when no connection could be made; its last good answer is kept. Needs no etcd.
            """,
        examples: [
            "legation forward 10.77.0.1:2379",
            "legation forward --listen 127.0.0.1:6379 redis-1.lan:6379 redis-2.lan:6379",
        ])

    private static let proxy = CommandHelp(
        arguments: "SERVICE PORT\nSERVICE:PORT [SERVICE:PORT...]",
        abstract: "Carry TCP connections to wherever the instances of a service are, and follow every change.",
        paragraph: """
            Listens on PORT and shares new connections out over the instances of SERVICE that stand in etcd. A listener \
            opens as soon as etcd has said which instances there are. When etcd cannot be reached, the last good set is \
            used on. On SIGTERM it stops accepting, and lets open connections end for --shutdown-grace.
            """,
        examples: [
            "legation proxy redis-A 6379",
            "legation proxy --bind 127.0.0.1 --hold 30s redis-A:6379 pg:5432",
        ])

    private static let services = CommandHelp(
        arguments: "[SERVICE]",
        abstract: "Show what is registered: where, by whom, since when, for how long.",
        paragraph: """
            One line an instance: service, key, address, state, whether a proxy with the same --allow-target, --format, \
            --resolve-names, --select and --prefer would use it, node, since, lease time left, the proxies that hold it, and what an \
            operator says of it; below, the entries that such a proxy would skip, each with its reason.
            """,
        examples: ["legation services", "legation services --json redis-A", "legation services --watch"])

    private static let nodes = CommandHelp(
        arguments: "-",
        abstract: "Show which registrators live.",
        paragraph: """
            One line a registrator process: node, process, address, zone, version, boot, since, the time left on its \
            lease, how many instances hang on that, and a warning where two hosts call themselves the same.
            """,
        examples: ["legation nodes", "legation nodes --json"])

    private static let drain = CommandHelp(
        arguments: "SERVICE [INSTANCE]",
        abstract: "Take an instance out of use for new connections, in every proxy.",
        paragraph: """
            Writes an operator's word to etcd, which every proxy reads and no registrator touches. Connections that are \
            open go on, where a proxy was given --drain-timeout for so long. INSTANCE is the last part of its key; \
            without it, or with *, the word is about every instance of the service that has none of its own.
            """,
        examples: ["legation drain redis-A hostA:redis:6379 --for 10m", "legation drain redis-A"])

    private static let weight = CommandHelp(
        arguments: "SERVICE [INSTANCE] WEIGHT",
        abstract: "Give an instance another share of new connections, in every proxy.",
        paragraph: """
            As drain; the weight counts with those kinds of --balance that look at weights, and 0 takes no new connections in \
            any of them.
            """,
        examples: ["legation weight redis-A hostA:redis:6379 10", "legation weight pg hostB:pg:5432 0 --for 1h"])

    private static let undo = CommandHelp(
        arguments: "SERVICE [INSTANCE]",
        abstract: "Take back what drain or weight has said.",
        paragraph: """
            From then on the registrator's word holds again, in every proxy. Without INSTANCE it takes back what was said of \
            all; words about one stand.
            """,
        examples: ["legation undo redis-A hostA:redis:6379", "legation undo redis-A"])

    private static let checkEtcd = CommandHelp(
        arguments: "-",
        abstract: "Check that etcd can do what the other commands will ask of it.",
        paragraph: """
            Asks each endpoint for its version, the cluster for its members, reads each range of keys that is needed, and \
            takes, keeps and gives back a lease; with --write it also puts and deletes a probe key. Ends with status 0 \
            when all of it worked, 1 otherwise.
            """,
        examples: ["legation check-etcd", "legation check-etcd --write --etcd http://127.0.0.1:2379"])
}
