// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Etcd

/// Keeps keys on a lease: put at each grant, and again until they stand.
struct Keeper {
    let client: EtcdClient
    let pairs: [(key: [UInt8], value: [UInt8])]
    let timeToLive: Duration

    func run() async throws {
        try await client.withLease(timeToLive: timeToLive) { keeper in
            for await event in keeper.events {
                switch event {
                case .lost(let lease): say("lost \(lease)")
                case .granted(let lease, let granted):
                    say("granted \(lease) \(granted.components.seconds)")
                    await publish(under: lease, while: keeper)
                }
            }
        }
    }

    private func publish(under lease: LeaseID, while keeper: LeaseKeeper) async {
        let operations = pairs.map { Operation.put(key: $0.key, value: $0.value, lease: lease) }
        while !Task.isCancelled, keeper.lease == lease {
            do {
                _ = try await client.transaction(if: [], then: operations)
                return say("published \(lease)")
            } catch {
                say("failed \(error)")
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}
