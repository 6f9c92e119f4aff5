// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import PackageDescription

let package = Package(
    name: "etcd-sample",
    dependencies: [
        .package(name: "legation", path: "../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .executableTarget(
            name: "EtcdSample",
            dependencies: [
                .product(name: "Etcd", package: "legation"), .product(name: "Logging", package: "swift-log"),
            ])
    ]
)
