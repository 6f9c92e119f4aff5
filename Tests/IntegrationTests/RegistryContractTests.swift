// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Etcd
import Logging
import Registry
import RegistryEtcd
import TestSupport
import Testing

/// The promises of `RegistryStore`, kept by a real etcd.
@Suite(.tags(.integration), .untilHung)
struct RegistryContractTests {
    @Test(arguments: EtcdProcess.Version.allCases)
    func etcdKeepsTheContract(version: EtcdProcess.Version) async throws {
        try await withEtcd(version: version) { etcd in
            let endpoint = try #require(EtcdEndpoint(etcd.url))
            var logger = Logger(label: "contract")
            logger.logLevel = .error
            let client = try EtcdClient(configuration: EtcdConfiguration(endpoints: [endpoint]), logger: logger)
            let store = EtcdStore(client: client)
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do {
                        try await store.run()
                    } catch {
                        if !Task.isCancelled { Issue.record("the store stopped: \(error)") }
                    }
                }
                defer { group.cancelAll() }
                for (number, check) in RegistryStoreContract.checks.enumerated() {
                    do {
                        try await check.run(Self.context(store, etcd, prefix: "/contract/\(number)/"))
                    } catch {
                        Issue.record("\(check.name) on etcd \(version): \(error)")
                    }
                }
            }
        }
    }

    private static func context(
        _ store: EtcdStore, _ etcd: EtcdProcess, prefix: String
    ) -> RegistryStoreContract.Context {
        RegistryStoreContract.Context(
            store: store, prefix: prefix,
            compact: { try await etcd.ctl("compact", "\(try await etcd.revision())") },
            revoke: { try await etcd.ctl("lease", "revoke", "\($0)") })
    }
}
