// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Etcd
private import Logging
private import Registry
private import RegistryEtcd

/// `legation check-etcd`: can etcd do what the other commands will ask of it?
package enum EtcdCheck {
    /// Long enough for the few questions in between; what is not revoked is gone soon.
    private static let probeTimeToLive = Duration.seconds(10)

    /// - Returns: the process's exit status.
    package static func run(_ configuration: QueryConfiguration) async -> Int32 {
        DaemonRun.ignoreBrokenPipes()
        let logger = DaemonRun.makeLogger(level: configuration.logLevel)
        let settings = await EtcdQuery.configuration(configuration.etcd, logger: logger)
        var findings = EtcdFindings()
        findings.endpoints = await EtcdQuery.map(settings.endpoints, width: settings.endpoints.count) { endpoint in
            var alone = settings
            alone.endpoints = [endpoint]
            do {
                let status = try await EtcdQuery.withClient(alone, logger: logger) { try await $0.status() }
                return EtcdFindings.Endpoint(endpoint: endpoint, status: .success(status))
            } catch {
                let error = error as? EtcdError ?? EtcdError(.other, "\(error)")
                return EtcdFindings.Endpoint(endpoint: endpoint, status: .failure(error))
            }
        }
        let isReachable = findings.endpoints.contains { if case .success = $0.status { true } else { false } }
        if isReachable {
            let layout = configuration.etcd.layout
            let found = try? await EtcdQuery.withClient(settings, logger: logger) { client in
                let (members, steps) = await check(client, layout: layout, writes: configuration.writesProbe)
                return (members: members, steps: steps, knowledge: KnowledgeReport(EtcdStore(client: client).health))
            }
            findings.members = found?.members ?? []
            findings.knowledge = found?.knowledge
            findings.steps = found?.steps ?? [.init("client", isOK: false, "ended before the answers")]
        } else {
            Console.complain("legation check-etcd: no endpoint can be used")
        }
        return EtcdQuery.answer(
            configuration, text: findings.text, json: findings.json, isOK: findings.isOK && isReachable)
    }

    private static func check(
        _ client: EtcdClient, layout: KeyLayout, writes: Bool
    ) async -> (members: [Member], steps: [EtcdFindings.Step]) {
        var series = Series()
        var members: [Member] = []
        await series.step("member list") {
            members = try await client.memberList()
            return members.map { $0.name.isEmpty ? String($0.id, radix: 16) : $0.name }.joined(separator: ", ")
        }
        for prefix in [layout.root] + ["nodes", "holds", "overrides"].map({ "\(layout.prefix)-\($0)/" }) {
            await series.step("read \(prefix)") {
                let listing = try await client.list(.prefix(prefix), keysOnly: true)
                return "\(listing.keyValues.count) keys at revision \(listing.revision)"
            }
        }
        await checkLease(client, probeKey: writes ? probeKey(layout) : nil, in: &series)
        return (members, series.steps)
    }

    /// A lease granted, kept and revoked; in between, a key put on it and deleted.
    private static func checkLease(_ client: EtcdClient, probeKey: String?, in series: inout Series) async {
        var granted: LeaseID?
        await series.step("lease grant") {
            let (lease, timeToLive) = try await client.grantLease(timeToLive: probeTimeToLive)
            granted = lease
            return "\(lease), \(DurationText.format(timeToLive))"
        }
        guard let lease = granted else { return }
        if let probeKey {
            await series.step("put \(probeKey)") {
                "revision \(try await client.put(probeKey, Array("{}".utf8), lease: lease))"
            }
            await series.step("delete \(probeKey)") { "revision \(try await client.delete(.key(probeKey)))" }
        }
        await series.step("lease keepalive") {
            guard let left = try await client.keepAliveOnce(lease) else {
                throw EtcdError(.leaseNotFound, "the lease is gone")
            }
            return DurationText.format(left)
        }
        await series.step("lease revoke") {
            try await client.revokeLease(lease)
            return "\(lease)"
        }
    }

    /// `nodes` shows only what it can read as a presence, so a probe under it confuses nobody for its few milliseconds.
    private static func probeKey(_ layout: KeyLayout) -> String {
        layout.presenceKey(node: "check-etcd", process: String(UInt64.random(in: .min ... .max), radix: 16))
    }

    /// One question after another. When one is not answered the rest are not asked: each would cost its whole time.
    private struct Series {
        private(set) var steps: [EtcdFindings.Step] = []
        private var isSilent = false

        mutating func step(_ name: String, _ body: () async throws -> String) async {
            guard !isSilent else {
                steps.append(EtcdFindings.Step(name, isOK: false, "not tried, etcd does not answer"))
                return
            }
            do {
                steps.append(EtcdFindings.Step(name, isOK: true, try await body()))
            } catch {
                isSilent = (error as? EtcdError)?.isTransient == true
                steps.append(EtcdFindings.Step(name, isOK: false, "\(error)"))
            }
        }
    }
}
