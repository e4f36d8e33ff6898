// SPDX-License-Identifier: Apache-2.0

/** A program of somebody else. */
module com.example.dma {
    requires org.iommu4j.sim;
}
