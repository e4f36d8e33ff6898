// SPDX-License-Identifier: Apache-2.0

/** An application that installs the silicon's Guice module. */
module com.example.simulation {
    requires com.google.guice;
    requires org.iommu4j.sim;
}
