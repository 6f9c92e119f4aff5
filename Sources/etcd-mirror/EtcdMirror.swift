// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ArgumentParser
internal import Etcd
internal import FoundationEssentials
internal import Logging

/// Mirrors a range of keys by list and watch, holds a lease with keys of its own, and shows both: what a program that
/// uses the client knows, to be compared with what etcd says.
///
/// Standard output is the log of what was applied, a line each:
///
///     reset REVISION upserts=N removes=N     a listing, as the difference from what stood here
///     drift REVISION N                        keys that an audit found otherwise than the watch had told
///     put REVISION KEY
///     delete REVISION KEY
///     granted LEASE TTL
///     lost LEASE
///     published LEASE                         all keys of --put stand under the lease
///
/// `--state FILE` is rewritten, atomically, 10 ms after the last change and every second. First line: `revision=R
/// reconnects=N resyncs=N relists=N drift=N stale=BOOL`; then a line for each key, in byte order: `KEY MODREVISION VALUE`.
@main
struct EtcdMirror: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "etcd-mirror")

    @Option(help: "URLs, separated by commas.") var endpoints: String
    @Option(help: "Keys that are mirrored.") var prefix: String
    @Option(help: "File that shows the table.") var state: String?
    @Option var cacert: String?
    @Option var cert: String?
    @Option var key: String?
    @Option var user: String?
    @Option var passwordFile: String?
    @Option(help: "A key to keep on the lease, written as KEY=VALUE; may be repeated.") var put: [String] = []
    @Option(help: "Of the lease, seconds.") var ttl = 5
    @Option(help: "Milliseconds that the consumer takes for each event.") var applyDelay = 0
    @Option(help: "Changes that a watch may hold.") var queueLimit: Int?
    @Option(help: "Seconds between HTTP/2 PINGs.") var keepaliveTime: Int?
    @Option(help: "Seconds between looks at the files of TLS.") var tlsReload: Int?

    func run() async throws {
        var logger = Logger(label: "etcd-mirror") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .debug
        let client = try EtcdClient(configuration: try configuration, logger: logger)
        let mirror = Mirror(
            client: client, range: .prefix(prefix), stateFile: state, applyDelay: .milliseconds(applyDelay))
        let keys = put.map { $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            group.addTask { try await mirror.run() }
            if !keys.isEmpty {
                let pairs = keys.map { (Array($0[0].utf8), Array(($0.count > 1 ? $0[1] : "").utf8)) }
                let ttl = Duration.seconds(ttl)
                group.addTask { try await Keeper(client: client, pairs: pairs, timeToLive: ttl).run() }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private var configuration: EtcdConfiguration {
        get throws {
            let list = try endpoints.split(separator: ",").map { text in
                guard let endpoint = EtcdEndpoint(String(text)) else {
                    throw ValidationError("\(text): not an endpoint; allowed: \(EtcdEndpoint.allowedForm)")
                }
                return endpoint
            }
            var configuration = EtcdConfiguration(endpoints: list)
            if cacert != nil || cert != nil {
                configuration.tls = EtcdTLS(caFile: cacert, certificateFile: cert, privateKeyFile: key)
            }
            if let user, let passwordFile {
                configuration.credentials = EtcdCredentials(user: user, password: .file(passwordFile))
            }
            if let queueLimit { configuration.watchQueueLimit = queueLimit }
            if let keepaliveTime { configuration.keepaliveTime = .seconds(keepaliveTime) }
            if let tlsReload { configuration.tlsReloadInterval = .seconds(tlsReload) }
            return configuration
        }
    }
}
