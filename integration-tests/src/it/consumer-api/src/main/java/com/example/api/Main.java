// SPDX-License-Identifier: Apache-2.0
package com.example.api;

import org.iommu4j.spi.IommuVendors;

/** Looks for drivers. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        System.out.println(IommuVendors.load().all().isEmpty() ? "no driver is on the path" : "a driver");
    }
}
