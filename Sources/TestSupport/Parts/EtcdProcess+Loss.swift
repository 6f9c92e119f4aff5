// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation

extension EtcdProcess {
    /// Takes away all that it has written: its next start is another etcd, an empty one, on the same ports. To be
    /// called while it is stopped.
    package func loseData() throws { try FileManager.default.removeItem(atPath: directory) }
}
