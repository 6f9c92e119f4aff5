// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
private import Glibc
package import Registry

/// Which etcd, and where in it: what every command needs that speaks with the registry.
package struct EtcdAccess: Sendable {
    package let configuration: EtcdConfiguration
    package let layout: KeyLayout

    /// An etcd on the same host, at its own default port.
    private static let defaultURL = "http://127.0.0.1:2379"

    package init(settings: SettingValues) throws(UsageError) {
        var endpoints = try settings.values(.etcd) { EtcdEndpoint($0) }
        if endpoints.isEmpty, let local = EtcdEndpoint(Self.defaultURL) { endpoints = [local] }
        let tls = EtcdTLS(
            caFile: try settings.value(.etcdCA, Self.readableFile),
            certificateFile: try settings.value(.etcdCert, Self.readableFile),
            privateKeyFile: try settings.value(.etcdKey, Self.readableFile))
        if (tls.certificateFile == nil) != (tls.privateKeyFile == nil) {
            let missing = Setting.named(tls.certificateFile == nil ? .etcdCert : .etcdKey)
            throw UsageError(missing: missing.flag, allowed: missing.allowedForm)
        }
        let isEmpty = tls == EtcdTLS()
        configuration = EtcdConfiguration(endpoints: endpoints, tls: isEmpty ? nil : tls)
        layout = try settings.value(.prefix) { KeyLayout(prefix: $0) } ?? .standard
    }

    private static func readableFile(_ path: String) -> String? { access(path, R_OK) == 0 ? path : nil }
}
