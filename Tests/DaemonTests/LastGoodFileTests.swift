// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Registry
import Testing

@Suite struct LastGoodFileTests {
    @Test(arguments: [
        ([:], "/var/lib/legation"), (["STATE_DIRECTORY": ""], "/var/lib/legation"),
        (["STATE_DIRECTORY": "/run/a"], "/run/a"), (["STATE_DIRECTORY": "/run/a:/run/b"], "/run/a"),
    ])
    func standsInTheFirstStateDirectoryOrWhereAPackageKeepsState(
        _ environment: [String: String], _ directory: String
    ) {
        let origin = LastGood.Origin(prefix: "/services", endpoints: ["http://a:2379"], services: [])
        let file = LastGoodFile(origin: origin, environment: environment)
        #expect(file.place == "\(directory)/\(origin.fileName)")
    }
}
