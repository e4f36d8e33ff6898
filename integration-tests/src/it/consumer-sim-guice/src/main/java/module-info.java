// SPDX-License-Identifier: Apache-2.0

/** An application that installs the silicon's Guice module. */
module com.example.simulation {
    // Guice is an automatic module, and so can't say that it needs Guava, which is a module.
    requires com.google.common;
    requires com.google.guice;
    requires org.iommu4j.sim;
}
