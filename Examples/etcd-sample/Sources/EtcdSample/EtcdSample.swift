// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Etcd
import Logging

/// Puts a key into the etcd on this machine and reads it back: what a program of its own needs of the `Etcd` library.
@main
struct EtcdSample {
    static func main() async throws {
        guard let endpoint = EtcdEndpoint("http://127.0.0.1:2379") else { return }
        let client = try EtcdClient(configuration: .init(endpoints: [endpoint]), logger: Logger(label: "sample"))
        // Ends with this function, which cancels it.
        async let _ = client.run()
        let revision = try await client.put("/sample/greeting", Array("hello".utf8))
        let stored = try await client.get("/sample/greeting")
        print("revision \(revision): \(String(decoding: stored?.value ?? [], as: UTF8.self))")
    }
}
