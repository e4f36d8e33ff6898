// SPDX-License-Identifier: Apache-2.0
package com.example.consumer;

import org.iommu4j.spi.IommuVendors;

/** Finds the vendor that is this project's only dependency. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        Module module = IommuVendors.class.getModule();
        String name = IommuVendors.load().named("intel").name();
        String place = module.isNamed() ? "module " + module.getName() : "the class path";
        System.out.println("found " + name + " from " + place);
    }
}
