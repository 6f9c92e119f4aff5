// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
package import Logging
package import RegistryEtcd
package import ServiceLifecycle

/// The way to etcd: one client a process, and the registry on top of it.
package struct EtcdParts: Sendable {
    package let client: EtcdClient
    package let store: EtcdStore
    private let cautions: EtcdCautions

    package init(_ configuration: EtcdConfiguration, logger: Logger) throws(EtcdError) {
        client = try EtcdClient(configuration: configuration, logger: logger)
        store = EtcdStore(client: client)
        cautions = EtcdCautions(configuration, logger: logger)
    }

    /// First in a group: everything else wants to say its last word to etcd before it goes.
    package var service: any Service {
        CancelledAtShutdown { [client, store, cautions] in
            // Greetings end with the store.
            async let cautioned: Void = cautions.run(client.greetings.map(\.version))
            try await store.run()
            await cautioned
        }
    }
}
